// Publishers are stopped while too much waits for the disk or for the database, and go on after it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DiskStore, openDiskStore } from './disk.ts'
import { DEFAULT_STORE_LIMITS, type StoreLimits } from './store-limits.ts'
import { MACHINE_DIRECTORY, SimulatedMachine } from './testing/simulated-machine.ts'

/** More than anything here takes; alarms come without end. */
const STEPS_MAX = 1000
const SIZES = { segmentBytes: 16_384, checkpointBytes: 4000, checkpointMs: 1_000_000 }

class Rig {
  readonly machine = new SimulatedMachine(1, null)
  durableBatch = 0

  async open(limits: Partial<StoreLimits>, sizes = SIZES): Promise<DiskStore> {
    const ignore = (): void => undefined
    const owner = {
      durable: (batch: number) => {
        this.durableBatch = batch
      },
      fetched: ignore,
      failed: (cause: Error) => assert.fail(cause),
    }
    const log = { info: ignore, warn: ignore, error: ignore }
    const options = { directory: MACHINE_DIRECTORY, ...sizes }
    const all = { ...DEFAULT_STORE_LIMITS, ...limits }
    let store: DiskStore | null = null
    const opening = openDiskStore(options, owner, log, this.machine.start(), all)
    opening.then(opened => {
      store = opened
    }, assert.fail)
    await this.until(() => store !== null)
    return opening
  }

  /** Lets things happen until it is so, which has to come soon. */
  async until(isSo: () => boolean): Promise<void> {
    let steps = 0
    await this.machine.disk.run(() => isSo() || ++steps > STEPS_MAX)
    assert.ok(isSo(), `it is not so after ${STEPS_MAX} steps`)
  }
}

/** A retained message of about so many bytes. */
function write(store: DiskStore, id: number, byteCount: number): void {
  const frame = new Uint8Array(byteCount)
  store.putMessage({ id, frame, protocolLevel: 5, expiresAtMs: 0, publisher: 'p' })
  store.putRetained(`topic-${id}`, id)
}

test('more than openBatchBytesMax waits for the disk', async () => {
  const rig = new Rig()
  const store = await rig.open({ openBatchBytesMax: 1000 })
  write(store, 1, 500)
  assert.equal(store.congested, false)
  write(store, 2, 500)
  assert.equal(store.congested, true)
  store.commit()
  assert.equal(store.congested, false, 'it is on its way, and the next batch is empty')
  rig.machine.dispose()
})

test('more than logBytesMax is in the log alone, until the database has it', async () => {
  const rig = new Rig()
  const store = await rig.open({ logBytesMax: 5000 })
  write(store, 1, 3000)
  store.commit()
  await rig.until(() => rig.durableBatch === 1)
  assert.equal(store.congested, false)
  write(store, 2, 3000)
  store.commit()
  await rig.until(() => rig.durableBatch === 2)
  assert.equal(store.congested, true)
  assert.ok(store.report().logBytes > 5000)
  await rig.until(() => !store.congested)
  assert.equal(store.report().logBytes, 0)
  assert.equal(store.report().checkpointSeconds.count, 1)
  rig.machine.dispose()
})

test('on a full disk the space for bad times lets the database take over once more', async () => {
  const rig = new Rig()
  const store = await rig.open({ logBytesMax: 5000 })
  rig.machine.fill(true)
  write(store, 1, 6000)
  store.commit()
  await rig.until(() => store.congested)
  await rig.until(() => !store.congested)
  assert.equal(store.full, true, 'nothing that grows is taken')
  rig.machine.fill(false)
  await rig.until(() => !store.full)
  rig.machine.dispose()
})

test('on a full disk the database takes over at once, and segments are used again', async () => {
  const rig = new Rig()
  const { disk } = rig.machine
  // Neither the size of the log nor the time is a reason.
  const sizes = { segmentBytes: 16_384, checkpointBytes: 1_000_000, checkpointMs: 100_000_000 }
  const store = await rig.open({}, sizes)
  await rig.until(() => store.report().segments.ready === 3)
  disk.capacityBytes = disk.usedBytes() + sizes.segmentBytes + 1000
  for (let id = 1; !store.full; id++) {
    write(store, id, 6000)
    store.commit()
    await rig.until(() => rig.durableBatch === id || store.full)
  }
  await rig.until(() => !store.full)
  assert.equal(store.report().checkpointSeconds.count, 1)
  rig.machine.dispose()
})

test('a disk that gets full during a checkpoint has another one soon after it', async () => {
  const rig = new Rig()
  const { disk } = rig.machine
  const sizes = { segmentBytes: 16_384, checkpointBytes: 15_000, checkpointMs: 100_000_000 }
  const store = await rig.open({}, sizes)
  await rig.until(() => store.report().segments.ready === 3)
  disk.capacityBytes = disk.usedBytes() + sizes.segmentBytes / 2
  for (let id = 1; !store.full; id++) {
    write(store, id, 6000)
    store.commit()
    await rig.until(() => rig.durableBatch === id || store.full)
  }
  // What it takes ends before the segment that is missed.
  await rig.until(() => !store.full)
  assert.equal(store.report().segments.ready, 3)
  rig.machine.dispose()
})
