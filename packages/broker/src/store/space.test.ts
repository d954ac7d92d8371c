// Low space is told before the disk is full, once in each direction.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { nodeFileSystem } from './file-system.ts'
import { type SpaceThreshold, SpaceWatch, shareOf } from './space.ts'
import { commitAll, Opened, session, temporaryDirectory } from './testing/opened-store.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB

class Rig {
  freeBytes = 100 * GIB
  totalBytes = 200 * GIB
  failure: Error | null = null
  questions = 0
  readonly said: string[] = []
  readonly watch: SpaceWatch
  private alarm: (() => void) | null = null

  constructor(threshold: SpaceThreshold | null) {
    const fileSystem = {
      ...nodeFileSystem,
      space: () => {
        this.questions++
        if (this.failure !== null) return Promise.reject(this.failure)
        const { freeBytes, totalBytes } = this
        return Promise.resolve({ freeBytes, totalBytes })
      },
      after: (_delayMs: number, callback: () => void) => {
        this.alarm = callback
        return () => {
          this.alarm = null
        }
      },
    }
    this.watch = new SpaceWatch(fileSystem, '/data', threshold, {
      changed: (low, free, limit) => this.said.push(`${low ? 'low' : 'enough'} ${free} ${limit}`),
      unknown: text => this.said.push(text),
    })
  }

  get isWaiting(): boolean {
    return this.alarm !== null
  }

  async with(freeBytes: number): Promise<boolean> {
    this.freeBytes = freeBytes
    await this.watch.check()
    return this.watch.low
  }

  /** Lets the time of the next question come. */
  async ring(): Promise<void> {
    const { alarm } = this
    this.alarm = null
    alarm?.()
    await this.watch.check()
  }
}

test('space is low below the threshold, at it it is not, and each is told once', async () => {
  const rig = new Rig(1000)
  assert.equal(await rig.with(1000), false)
  assert.equal(await rig.with(999), true)
  assert.equal(await rig.with(500), true)
  assert.equal(await rig.with(1099), true, 'a little more is not enough')
  assert.equal(await rig.with(1100), false)
  assert.deepEqual(rig.said, ['low 999 1000', 'enough 1100 1000'])
})

test('a share is one of the whole file system', async () => {
  const rig = new Rig('10%')
  assert.equal(await rig.with(20 * GIB), false)
  assert.equal(await rig.with(20 * GIB - 1), true)
})

test('without a threshold it is 5 % of the file system, at most 1 GiB', async () => {
  const large = new Rig(null)
  assert.equal(await large.with(GIB), false)
  assert.equal(await large.with(GIB - 1), true)
  const small = new Rig(null)
  small.totalBytes = 1000
  assert.equal(await small.with(50), false)
  assert.equal(await small.with(49), true)
})

test('a threshold of 0 never warns', async () => {
  const rig = new Rig(0)
  assert.equal(await rig.with(0), false)
  assert.deepEqual(rig.said, [])
})

test('it is asked for from time to time until the end', async () => {
  const rig = new Rig(1000)
  await rig.watch.begin()
  rig.freeBytes = 1
  await rig.ring()
  assert.equal(rig.watch.low, true)
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(rig.isWaiting, true)
  rig.watch.end()
  assert.equal(rig.isWaiting, false)
})

test('a system that does not say is told once, and changes nothing', async () => {
  const rig = new Rig(1000)
  await rig.with(1)
  rig.failure = new Error('no such call')
  await rig.watch.check()
  await rig.watch.check()
  assert.equal(rig.watch.low, true)
  assert.equal(rig.watch.freeBytes, null)
  assert.deepEqual(rig.said, ['low 1 1000', 'no such call'])
})

test('a share is a number from 0 to 100 with a percent sign', () => {
  assert.equal(shareOf('5%'), 0.05)
  assert.equal(shareOf('100%'), 1)
  for (const wrong of ['5', '%', '101%', '-1%', 'five%', '5 %']) assert.equal(shareOf(wrong), null)
})

async function openWith(t: TestContext, lowSpace: SpaceThreshold): Promise<Opened> {
  const owner = new Opened()
  const store = await owner.open({ directory: temporaryDirectory(t), lowSpace })
  assert.equal(store.low, lowSpace === '100%')
  assert.ok(store.freeBytes !== null && store.freeBytes > 0)
  store.putSession(session)
  await commitAll(store, owner)
  assert.equal(store.full, false, 'nothing is refused')
  await store.close()
  return owner
}

test('a store on a disk with little space says so at its start, and takes everything', async t => {
  const low = await openWith(t, '100%')
  assert.match(low.said.join(), /the disk of the store has little space left.*"freeBytes"/)
  const enough = await openWith(t, 1)
  assert.doesNotMatch(enough.said.join(), /space/)
})
