// A small heap gets room to grow, a large one grows as V8 thinks best.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { giveHeapRoom } from './heap.ts'

const MB = 1024 * 1024

/** A heap whose size the test says. */
class FakeHeap {
  used: number
  readonly grown: number[] = []
  look: () => void = () => undefined
  isWatched = false

  constructor(used: number) {
    this.used = used
  }

  heapUsed(): number {
    return this.used
  }
  grow(percent: number): void {
    this.grown.push(percent)
  }
  every(_ms: number, look: () => void): () => void {
    this.look = look
    this.isWatched = true
    return () => {
      this.isWatched = false
    }
  }
  becomes(bytes: number): readonly number[] {
    this.used = bytes
    this.look()
    return this.grown.splice(0)
  }
}

test('a heap below 32 MiB has room until it is above 64 MiB, and then as V8 thinks best', () => {
  const heap = new FakeHeap(9 * MB)
  giveHeapRoom(heap)
  assert.deepEqual(heap.grown.splice(0), [400])
  assert.deepEqual(heap.becomes(64 * MB - 1), [])
  assert.deepEqual(heap.becomes(64 * MB), [0])
  assert.deepEqual(heap.becomes(32 * MB), [])
  assert.deepEqual(heap.becomes(32 * MB - 1), [400])
})

test('a heap that is large from the start is left alone', () => {
  const heap = new FakeHeap(100 * MB)
  const stop = giveHeapRoom(heap)
  assert.deepEqual(heap.grown, [])
  stop()
  assert.deepEqual(heap.grown, [])
})

test('its end takes the room back and looks no more', () => {
  const heap = new FakeHeap(9 * MB)
  const stop = giveHeapRoom(heap)
  assert.equal(heap.isWatched, true)
  stop()
  assert.equal(heap.isWatched, false)
  assert.deepEqual(heap.grown, [400, 0])
})

test('V8 takes the setting', () => {
  giveHeapRoom()()
})
