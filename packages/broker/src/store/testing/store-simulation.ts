// One run of the whole store against a hostile machine, all of it decided by a seed: records of
// all kinds, pages, checkpoints, a full disk, failing syncs, and several crashes, some of them at
// the named points and some in the middle of a recovery.

import type { CrashPoint } from '../crash-points.ts'
import { SeededRandom } from './random.ts'
import { systemError } from './simulated-disk.ts'
import { StoreRig } from './store-rig.ts'

const LIVES = 5
const STEPS_MAX = 200
const POINTS: readonly CrashPoint[] = [
  'after_write',
  'after_fsync',
  'mid_checkpoint',
  'after_segment_rename',
  'before_ack',
]

/** @param liesAboutSync the disk says that all is well and keeps nothing: this has to be noticed */
export async function simulateStore(seed: number, liesAboutSync = false): Promise<void> {
  const random = new SeededRandom(seed)
  const rig = new StoreRig(seed + 1_000_000, {
    segmentBytes: 2048 + 512 * random.below(20),
    checkpointBytes: 1000 + random.below(30_000),
    checkpointMs: 100 + random.below(3000),
    limits: {
      followBytes: pick(random, [1, 2000, 1_000_000]),
      overlayBytesMax: pick(random, [3000, 30_000, 1_000_000]),
      openBatchBytesMax: 1_000_000,
      logBytesMax: 1_000_000,
    },
  })
  rig.machine.disk.liesAboutSync = liesAboutSync
  try {
    for (let life = 0; life < LIVES; life++) {
      plan(rig, random)
      await rig.start()
      await live(rig, random)
      await end(rig, random)
    }
    await rig.start()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Error(`seed ${seed}: ${text}`, { cause: error })
  } finally {
    rig.dispose()
  }
}

/** Some processes end at a named point, of which the start has some as well. */
function plan(rig: StoreRig, random: SeededRandom): void {
  const point = pick(random, POINTS)
  let left = random.chance(0.5) ? 1 + random.below(point === 'after_segment_rename' ? 4 : 12) : 0
  rig.machine.reached = reached => {
    if (reached !== point || left === 0) return
    left--
    if (left === 0) rig.crash(random.chance(0.5))
  }
}

async function live(rig: StoreRig, random: SeededRandom): Promise<void> {
  const { life, machine } = rig
  machine.disk.shortWriteChance = random.chance(0.2) ? 0.2 : 0
  const syncFailsAt = random.chance(0.15) ? random.below(STEPS_MAX) : -1
  // The disk may have been full from the start.
  const fullAt = machine.isFull ? 0 : random.chance(0.2) ? random.below(STEPS_MAX) : -1
  const roomAt = fullAt + random.below(60)
  const steps = random.below(STEPS_MAX)
  for (let step = 0; step < steps && !life.isOver && life.failure === null; step++) {
    if (step === syncFailsAt) {
      machine.disk.fault = operation => (operation === 'sync' ? systemError('EIO', 'disk') : null)
    }
    if (step === fullAt && !machine.isFull) machine.fill(true)
    if (step === roomAt) machine.fill(false)
    for (let i = random.below(4); i > 0; i--) rig.write()
    for (let i = random.below(6); i > 0 && !life.isOver; i--) await rig.step()
    // What waits for room would wait here as well.
    if (random.chance(0.04) && (step < fullAt || step > roomAt)) await rig.comparePages()
  }
}

async function end(rig: StoreRig, random: SeededRandom): Promise<void> {
  const { machine, life } = rig
  machine.disk.shortWriteChance = 0
  if (random.chance(0.2) && !life.isOver && life.failure === null) {
    machine.fill(false)
    await rig.close()
  }
  if (!life.isOver) rig.crash(random.chance(0.7))
  machine.disk.fault = () => null
  machine.fill(random.chance(0.1))
}

function pick<T>(random: SeededRandom, from: readonly T[]): T {
  return from[random.below(from.length)] as T
}
