// The log on a simulated disk: order, torn tails, recycled segments, failing writes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CrashPoint } from './crash-points.ts'
import { StoreError } from './errors.ts'
import {
  SEGMENT_HEADER_BYTES,
  segmentName,
  segmentNumber,
  writeSegmentHeader,
} from './log-format.ts'
import { DIRECTORY, LogRig, STORE_ID } from './testing/log-rig.ts'
import { simulateLog } from './testing/log-simulation.ts'
import { settled, systemError } from './testing/simulated-disk.ts'

function segmentsOf(rig: LogRig): string[] {
  return rig.disk.paths(DIRECTORY).filter(name => segmentNumber(name) > 0)
}

test('what was acknowledged survives a power failure, in order', async () => {
  const rig = new LogRig(1)
  await rig.start()
  await rig.appendAll(100, 50)
  rig.crash(true)
  assert.equal(rig.scan().ids.length, 100)
  await rig.start()
  assert.equal(rig.applied, 100)
})

test('a batch goes on in the next segment when it does not fit, and is never split', async () => {
  const rig = new LogRig(2)
  await rig.start()
  await rig.appendAll(5, 1500)
  assert.ok(segmentsOf(rig).length >= 3)
  assert.deepEqual(rig.scan().ids, [1, 2, 3, 4, 5])
})

test('a batch larger than a segment gets a segment of its own', async () => {
  const rig = new LogRig(3)
  await rig.start()
  await rig.appendAll(1, 10)
  await rig.appendAll(1, 20_000)
  await rig.appendAll(3, 10)
  rig.crash(true)
  assert.deepEqual(rig.scan().ids, [1, 2, 3, 4, 5])
})

test('segments are used again after a checkpoint: the log does not grow', async () => {
  const rig = new LogRig(4)
  await rig.start()
  for (let i = 0; i < 60; i++) {
    await rig.appendAll(3, 1000)
    rig.checkpoint()
    await rig.disk.run()
  }
  assert.ok(segmentsOf(rig).length <= 6, segmentsOf(rig).join())
  assert.equal(rig.failure, null)
})

test('frames that a recycled segment still holds are never read as new', async () => {
  const rig = new LogRig(5)
  await rig.start()
  for (let i = 0; i < 10; i++) {
    await rig.appendAll(3, 1000)
    rig.checkpoint()
    await rig.disk.run()
  }
  await rig.appendAll(1, 0)
  // Behind the one new frame lie whole frames of an earlier life, before the checkpoint.
  const { ids } = rig.scan()
  assert.deepEqual(ids, [31])
  rig.applied = 0
  assert.throws(() => rig.scan(), StoreError, 'they would not even count without the checkpoint')
})

test('a torn last frame is left out', async () => {
  const rig = new LogRig(6)
  await rig.start()
  await rig.appendAll(5, 100)
  const path = `${DIRECTORY}/${segmentsOf(rig)[0]}`
  const whole = rig.disk.contents(path)
  const frameBytes = frameBytesOf(whole)
  const lastFrame = SEGMENT_HEADER_BYTES + 4 * frameBytes
  for (let cut = lastFrame; cut < lastFrame + frameBytes; cut++) {
    const torn = whole.slice()
    torn.fill(0, cut, lastFrame + frameBytes)
    if (Buffer.compare(torn, whole) === 0) continue
    rig.disk.put(path, torn)
    assert.deepEqual(rig.scan().ids, [1, 2, 3, 4], `cut at ${cut}`)
  }
})

test('a bit flipped in any byte of a log: a cut tail or a refusal, never wrong data', async () => {
  const rig = new LogRig(7)
  await rig.start()
  await rig.appendAll(4, 40)
  const path = `${DIRECTORY}/${segmentsOf(rig)[0]}`
  const whole = rig.disk.contents(path)
  const frameBytes = frameBytesOf(whole)
  let refusals = 0
  let cuts = 0
  for (let i = 0; i < SEGMENT_HEADER_BYTES + 4 * frameBytes; i++) {
    const damaged = whole.slice()
    damaged[i] = (damaged[i] as number) ^ (1 << (i % 8))
    rig.disk.put(path, damaged)
    const frame = Math.floor((i - SEGMENT_HEADER_BYTES) / frameBytes)
    try {
      const { ids } = rig.scan()
      // The header is not needed for reading; a flip in the last frame looks as if it were torn.
      const expected = frame < 0 ? [1, 2, 3, 4] : [1, 2, 3]
      assert.deepEqual(ids, expected, `byte ${i}`)
      if (frame >= 0) cuts++
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      assert.ok(frame < 3, `byte ${i}`)
      refusals++
      if (frame < 0) continue
      const offset = SEGMENT_HEADER_BYTES + frame * frameBytes
      assert.match(error.message, new RegExp(`offset ${offset}:`))
    }
  }
  assert.equal(cuts, frameBytes)
  assert.ok(refusals >= 3 * frameBytes)
})

test('corruption with sound frames after it refuses the start, salvage goes on', async () => {
  const rig = new LogRig(8)
  await rig.start()
  await rig.appendAll(9, 1000)
  const name = segmentName(2)
  const damaged = rig.disk.contents(`${DIRECTORY}/${name}`)
  damaged[SEGMENT_HEADER_BYTES + 30] = 0xff
  rig.disk.put(`${DIRECTORY}/${name}`, damaged)
  assert.throws(() => rig.scan(), /0000000000000002\.log at offset 512: batch 4 was expected, 5/)
  const { ids, scanner } = rig.scan(true)
  assert.deepEqual(ids, [1, 2, 3, 5, 6, 7, 8, 9])
  const expected = { file: name, offset: SEGMENT_HEADER_BYTES, firstSequence: 4, lastSequence: 4 }
  assert.deepEqual(scanner.lost, [expected])
})

test('a segment that is missing refuses the start', async () => {
  const rig = new LogRig(9)
  await rig.start()
  await rig.appendAll(9, 1000)
  await Promise.all([rig.disk.mount().unlink(`${DIRECTORY}/${segmentName(2)}`), rig.disk.run()])
  assert.throws(() => rig.scan(), /batch 4 was expected, 7 is the next/)
})

test('corruption of what the checkpoint has does not matter', async () => {
  const rig = new LogRig(10)
  await rig.start()
  await rig.appendAll(5, 100)
  rig.applied = 3
  const path = `${DIRECTORY}/${segmentsOf(rig)[0]}`
  const damaged = rig.disk.contents(path)
  damaged.fill(0xaa, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 3 * frameBytesOf(damaged))
  rig.disk.put(path, damaged)
  assert.deepEqual(rig.scan().ids, [4, 5])
})

test('a segment of another store refuses the start', async () => {
  const rig = new LogRig(11)
  await rig.start()
  await rig.appendAll(1, 10)
  const path = `${DIRECTORY}/${segmentsOf(rig)[0]}`
  const other = rig.disk.contents(path)
  const storeId = new Uint8Array(16).fill(9)
  other.set(writeSegmentHeader({ version: 1, storeId, number: 1, byteCount: 4096 }))
  rig.disk.put(path, other)
  assert.throws(() => rig.scan(), /belongs to another store/)
})

test('a log of a newer version refuses the start', async () => {
  const rig = new LogRig(12)
  const header = writeSegmentHeader({ version: 3, storeId: STORE_ID, number: 1, byteCount: 4096 })
  rig.disk.put(`${DIRECTORY}/${segmentName(1)}`, header)
  assert.throws(() => rig.scan(), /has format version 3, this program knows 2/)
})

test('a short write is completed', async () => {
  const rig = new LogRig(13)
  await rig.start()
  rig.disk.shortWriteChance = 0.7
  await rig.appendAll(20, 300)
  rig.crash(true)
  assert.equal(rig.scan().ids.length, 20)
})

test('a failed fsync is the end: nothing is acknowledged, the error comes out', async () => {
  const rig = new LogRig(14)
  await rig.start()
  await rig.appendAll(3, 10)
  rig.disk.fault = operation => (operation === 'sync' ? systemError('EIO', 'disk') : null)
  await rig.appendAll(1, 10)
  assert.equal(rig.acknowledged, 3)
  assert.match(String(rig.failure), /EIO/)
  rig.crash(true)
  rig.disk.fault = () => null
  await rig.start()
  assert.ok(rig.applied === 3 || rig.applied === 4)
})

test('a full disk stops the growth, and the log goes on when there is room', async () => {
  const rig = new LogRig(15)
  rig.disk.capacityBytes = 3 * 4096
  await rig.start()
  const appending = [rig.append(3000)]
  await rig.disk.run(() => rig.idle)
  rig.append(3000)
  await rig.disk.run(() => rig.idle && rig.short)
  assert.equal(rig.short, true, 'no room for another spare segment')
  rig.append(3000)
  await rig.disk.run(() => rig.idle)
  assert.equal(rig.acknowledged, 3, 'the spare segments still take records')
  appending.push(rig.append(3000))
  for (let i = 0; i < 20; i++) {
    if (!rig.disk.step()) break
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.equal(rig.idle, false)
  assert.equal(rig.failure, null)
  rig.disk.capacityBytes = 100 * 4096
  await rig.disk.run(() => rig.idle && !rig.short)
  assert.equal(rig.acknowledged, 4)
  assert.equal(rig.short, false)
})

test('a batch of many pieces is one frame, also where the disk takes it bit by bit', async () => {
  const rig = new LogRig(16)
  await rig.start()
  rig.disk.shortWriteChance = 0.5
  await rig.appendAll(1, 10)
  await rig.appendAll(1, 2_700_000)
  await rig.appendAll(2, 10)
  rig.crash(true)
  assert.deepEqual(rig.scan().ids, [1, 2, 3, 4])
})

/** A log of three segments, two of them spare, on a disk that has no room for more. */
async function onFullDisk(seed: number): Promise<LogRig> {
  const rig = new LogRig(seed)
  rig.disk.capacityBytes = 3 * 4096
  await rig.start()
  await rig.disk.run()
  await rig.appendAll(1, 10)
  return rig
}

test('a batch larger than a segment takes the space of spare ones on a full disk', async () => {
  const rig = await onFullDisk(20)
  assert.equal(rig.short, false)
  // More than the segment in use has left, and than one spare gives.
  rig.append(6000)
  await rig.disk.run(() => rig.idle)
  assert.equal(rig.acknowledged, 2)
  assert.equal(rig.short, true, 'what is kept for deletes is gone: nothing may grow')
  assert.equal(rig.failure, null)
  rig.crash(true)
  assert.deepEqual(rig.scan().ids, [1, 2])
  rig.disk.capacityBytes = 100 * 4096
  await rig.start()
  await rig.appendAll(3, 10)
  assert.equal(rig.acknowledged, 5)
})

test('what spare segments have left over makes one of them again', async () => {
  const rig = new LogRig(21, { segmentBytes: 4096, spareCount: 3 })
  rig.disk.capacityBytes = 4 * 4096
  await rig.start()
  await rig.disk.run()
  await rig.appendAll(1, 10)
  rig.append(6000)
  await rig.disk.run(() => rig.idle && rig.log?.segments.readyCount === 1)
  assert.equal(rig.log?.segments.readyCount, 1, 'what is left over is one for deletes again')
  await rig.appendAll(1, 10)
  assert.equal(rig.acknowledged, 3)
  assert.deepEqual(rig.scan().ids, [1, 2, 3])
})

test('a batch for which even the spare segments do not suffice waits for room', async () => {
  const rig = await onFullDisk(22)
  rig.append(20_000)
  await settled()
  for (let i = 0; i < 200 && rig.disk.step(); i++) await settled()
  assert.equal(rig.idle, false)
  assert.equal(rig.short, true)
  assert.equal(rig.failure, null)
  rig.disk.capacityBytes = 100 * 4096
  await rig.disk.run(() => rig.idle && !rig.short)
  await rig.appendAll(2, 10)
  assert.deepEqual(rig.scan().ids, [1, 2, 3, 4])
  await rig.disk.run(() => rig.log?.segments.readyCount === 2)
  assert.equal(rig.log?.segments.readyCount, 2)
})

for (const power of [true, false]) {
  const event = power ? 'a power failure' : 'a kill'
  test(`${event} at any moment of giving spare segments up loses nothing`, async () => {
    let steps = 0
    for (let isOver = false; !isOver; steps++) {
      const rig = await onFullDisk(2000 + steps)
      rig.append(6000)
      await settled()
      for (let i = 0; i < steps && !rig.idle; i++) {
        rig.disk.step()
        await settled()
      }
      isOver = rig.idle
      rig.crash(power)
      rig.disk.capacityBytes = 100 * 4096
      await rig.start()
      await rig.appendAll(5, 1000)
      assert.equal(rig.failure, null)
    }
    assert.ok(steps > 10, String(steps))
  })
}

const Points: CrashPoint[] = ['after_write', 'after_fsync', 'after_segment_rename']
for (const point of Points) {
  for (const power of [true, false]) {
    const event = power ? 'a power failure' : 'a kill'
    test(`${event} at ${point} loses nothing that was acknowledged`, async () => {
      for (let time = 1; time <= 12; time++) {
        const rig = new LogRig(1000 + time)
        await rig.start()
        let left = time
        let dead = false
        rig.reached = at => {
          if (at !== point || --left !== 0) return
          dead = true
          rig.crash(power)
        }
        for (let i = 0; i < 60 && !dead; i++) {
          rig.append(700)
          await rig.disk.run(() => rig.idle || dead)
          if (i % 5 === 4 && !dead) rig.checkpoint()
        }
        assert.ok(dead)
        rig.reached = () => undefined
        await rig.start()
        await rig.appendAll(10, 100)
        assert.equal(rig.failure, null)
      }
    })
  }
}

test('simulated crashes of 60 seeds lose nothing, invent nothing, keep the order', async () => {
  for (let seed = 1; seed <= 60; seed++) await simulateLog(seed)
})

test('a disk that lies about syncing is noticed: the simulation has eyes', async () => {
  let noticed = 0
  for (let seed = 1; seed <= 20; seed++) {
    const rig = new LogRig(seed)
    await rig.start()
    rig.disk.liesAboutSync = true
    await rig.appendAll(10, 300)
    rig.crash(true)
    await rig.start().catch(() => noticed++)
  }
  assert.ok(noticed >= 15, `noticed in ${noticed} of 20 runs`)
})

function frameBytesOf(segment: Uint8Array): number {
  return Buffer.from(segment).readUInt32LE(SEGMENT_HEADER_BYTES) + 20
}
