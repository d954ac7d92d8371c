// What was told to end and does not is cut off, what has ended is held no longer.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alive } from '../testing/alive.ts'
import { Linger, type Lingering } from './linger.ts'

class Thing implements Lingering {
  readonly destroyed: Promise<void>
  isDestroyed = false
  #resolve: () => void = () => undefined

  constructor() {
    this.destroyed = new Promise(resolve => {
      this.#resolve = resolve
    })
  }

  destroy(): void {
    this.isDestroyed = true
    this.#resolve()
  }
}

test('whatever does not end in time is destroyed', async () => {
  const linger = new Linger(20)
  const things = [new Thing(), new Thing()]
  for (const thing of things) linger.add(thing)
  await alive(Promise.all(things.map(thing => thing.destroyed)))
  assert.equal(linger.count, 0)
  const later = new Thing()
  linger.add(later)
  await alive(later.destroyed)
})

test('what has ended is neither held nor destroyed', async () => {
  const linger = new Linger(20)
  const [ended, stuck] = [new Thing(), new Thing()]
  linger.add(ended)
  linger.add(stuck)
  linger.delete(ended)
  assert.equal(linger.count, 1)
  await alive(stuck.destroyed)
  assert.equal(ended.isDestroyed, false)
})

test('what is added again keeps its time', async () => {
  const linger = new Linger(20)
  const thing = new Thing()
  linger.add(thing)
  linger.add(thing)
  assert.equal(linger.count, 1)
  await alive(thing.destroyed)
})

test('all can be cut off at once', () => {
  const linger = new Linger()
  const things = [new Thing(), new Thing()]
  for (const thing of things) linger.add(thing)
  linger.destroyAll()
  assert.ok(things.every(thing => thing.isDestroyed))
  assert.equal(linger.count, 0)
  linger.destroyAll()
})
