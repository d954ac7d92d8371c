// The first file of a log: written while the database of a new store is made, never in the way.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginSpare, type FirstSpare } from './spare.ts'
import { SimulatedDisk } from './testing/simulated-disk.ts'

const BYTES = 3 * 1024 * 1024

async function begun(disk: SimulatedDisk): Promise<FirstSpare | null> {
  return settled(disk, beginSpare(disk.mount(), 'log', BYTES))
}

async function settled<T>(disk: SimulatedDisk, promise: Promise<T>): Promise<T> {
  let isSettled = false
  const done = (): void => {
    isSettled = true
  }
  promise.then(done, done)
  await disk.run(() => isSettled)
  return promise
}

test('in an empty directory it is made, as long as it should be and of zeros', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimulatedDisk(seed)
    disk.shortWriteChance = 0.3
    const spare = await begun(disk)
    assert.equal(spare?.name, 'spare-0.tmp')
    assert.equal(await settled(disk, spare.made), true)
    const file = await settled(disk, disk.mount().open(spare.path, 'read'))
    const bytes = new Uint8Array(BYTES + 1).fill(1)
    assert.equal(await settled(disk, file.read(bytes, 0)), BYTES)
    assert.ok(bytes.subarray(0, BYTES).every(byte => byte === 0))
  }
})

test('where there are files nothing is made', async () => {
  const disk = new SimulatedDisk(1)
  await settled(disk, disk.mount().open('log/0000000000000001.log', 'create'))
  assert.equal(await begun(disk), null)
  assert.deepEqual([...disk.names.keys()], ['log/0000000000000001.log'])
})

test('on a full disk there is none, and no rest of it', async () => {
  const disk = new SimulatedDisk(2)
  disk.capacityBytes = BYTES / 2
  const spare = await begun(disk)
  assert.equal(await settled(disk, spare?.made ?? Promise.resolve(true)), false)
  assert.deepEqual([...disk.names.keys()], [])
})
