// One run of the log against a hostile disk, all of it decided by a seed: batches of all sizes,
// checkpoints, short writes, a full disk, failing syncs, and several crashes with a recovery each.

import assert from 'node:assert/strict'
import { LogRig } from './log-rig.ts'
import { SeededRandom } from './random.ts'
import { settled, systemError } from './simulated-disk.ts'

const LIVES = 6
const STEPS_MAX = 120
const PLENTY_BYTES = 100_000_000

export async function simulateLog(seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  const segmentBytes = 2048 + 512 * random.below(8)
  const rig = new LogRig(seed + 1_000_000, { segmentBytes, spareCount: 1 + random.below(3) })
  rig.disk.capacityBytes = PLENTY_BYTES
  try {
    for (let life = 0; life < LIVES; life++) {
      await rig.start()
      assert.ok(rig.log !== null, `could not start: ${rig.failure}`)
      await live(rig, random)
      rig.crash(random.chance(0.7))
      rig.disk.fault = () => null
      rig.disk.shortWriteChance = 0
      rig.disk.capacityBytes = PLENTY_BYTES
    }
    await rig.start()
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

async function live(rig: LogRig, random: SeededRandom): Promise<void> {
  rig.disk.shortWriteChance = random.chance(0.3) ? 0.3 : 0
  const syncFailsAt = random.chance(0.2) ? random.below(STEPS_MAX) : -1
  const fullAt = random.chance(0.2) ? random.below(STEPS_MAX) : -1
  const steps = random.below(STEPS_MAX)
  for (let step = 0; step < steps && rig.failure === null; step++) {
    if (step === syncFailsAt) {
      rig.disk.fault = operation => (operation === 'sync' ? systemError('EIO', 'disk') : null)
    }
    if (step === fullAt) rig.disk.capacityBytes = 0
    if (rig.idle) rig.append(random.chance(0.05) ? random.below(6000) : random.below(700))
    if (random.chance(0.05)) rig.checkpoint()
    rig.disk.step()
    await settled()
  }
}
