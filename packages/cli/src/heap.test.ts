// A small heap gets room to grow, a large one grows as V8 thinks best; the young generation stays
// as large as it is useful.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundYoungHeap, giveHeapRoom, nodeHeap } from './heap.ts'

const MB = 1024 * 1024

/** A heap whose size the test says. */
class FakeHeap {
  used: number
  young = 1 * MB
  readonly grown: number[] = []
  readonly factors: number[] = []
  look: () => void = () => undefined
  isWatched = false

  constructor(used: number) {
    this.used = used
  }

  heapUsed(): number {
    return this.used
  }
  youngBytes(): number {
    return this.young
  }
  grow(percent: number): void {
    this.grown.push(percent)
  }
  growYoung(factor: number): void {
    this.factors.push(factor)
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

test('the young generation grows to 16 MiB, and again when V8 has shrunk it', () => {
  const heap = new FakeHeap(9 * MB)
  boundYoungHeap(heap)
  const sizes = [8, 16, 16, 2, 8, 16].map(megabytes => {
    heap.young = megabytes * MB
    heap.look()
    return heap.factors.splice(0)
  })
  assert.deepEqual(sizes, [[], [1], [], [2], [], [1]])
})

test('its bound ends with the broker', () => {
  const heap = new FakeHeap(9 * MB)
  const stop = boundYoungHeap(heap)
  heap.young = 32 * MB
  heap.look()
  stop()
  assert.equal(heap.isWatched, false)
  assert.deepEqual(heap.factors, [1, 2])
})

test('V8 takes the setting of room', () => {
  giveHeapRoom()()
})

test("V8 keeps to the young generation's bound, and grows it where there is none", () => {
  const heap = new FakeHeap(9 * MB)
  heap.growYoung = factor => nodeHeap.growYoung(factor)
  const stop = boundYoungHeap(heap)
  heap.young = 16 * MB
  heap.look()
  // Its second half is there when it is used first.
  makeObjects(300_000)
  const before = nodeHeap.youngBytes()
  makeObjects(300_000)
  assert.ok(nodeHeap.youngBytes() <= before)
  stop()
  makeObjects(300_000)
  assert.ok(nodeHeap.youngBytes() > before)
})

/** So many live until all are made, which is what makes V8 double the young generation. */
function makeObjects(count: number): void {
  const alive = Array.from({ length: count }, (_, number) => ({ number, text: `${number}` }))
  assert.equal(alive.length, count)
}
