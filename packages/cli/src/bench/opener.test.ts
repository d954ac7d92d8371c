// Opening many connections, with the time in our hands.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openAll, type Timer } from './opener.ts'

/** A clock that jumps to the next timer. */
class FakeTimer implements Timer {
  private us = 0
  private readonly timers: { at: number; act: () => void }[] = []

  nowUs(): number {
    return this.us
  }

  after(ms: number, act: () => void): void {
    this.timers.push({ at: this.us + ms * 1e3, act })
  }

  turn(): boolean {
    this.timers.sort((a, b) => a.at - b.at)
    const next = this.timers.shift()
    if (next === undefined) return false
    this.us = next.at
    next.act()
    return true
  }
}

test('no more are open at once than allowed, and all are opened', async () => {
  const timer = new FakeTimer()
  const waiting: (() => void)[] = []
  let most = 0
  const opened: number[] = []
  const all = openAll(10, { perSecond: 0, concurrency: 3 }, timer, (index, done) => {
    opened.push(index)
    waiting.push(done)
    most = Math.max(most, waiting.length)
  })
  while (waiting.length > 0) waiting.shift()?.()
  await all
  assert.equal(most, 3)
  assert.deepEqual(opened, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('the rate of connects is kept', async () => {
  const timer = new FakeTimer()
  const at: number[] = []
  const all = openAll(5, { perSecond: 10, concurrency: 100 }, timer, (_, done) => {
    at.push(timer.nowUs())
    done()
  })
  while (timer.turn());
  await all
  assert.deepEqual(at, [0, 100_000, 200_000, 300_000, 400_000])
})

test('connects that end at once do not need a stack as deep as their number', async () => {
  const timer = new FakeTimer()
  let count = 0
  await openAll(20_000, { perSecond: 0, concurrency: 1 }, timer, (_, done) => {
    count++
    done()
  })
  assert.equal(count, 20_000)
})

test('nothing to open is done at once', async () => {
  await openAll(0, { perSecond: 1, concurrency: 1 }, new FakeTimer(), () => assert.fail('opened'))
})

test('what is stopped begins no more, and ends when those under way have', async () => {
  const timer = new FakeTimer()
  const waiting: (() => void)[] = []
  const stopping = { aborted: false }
  const opened: number[] = []
  let isDone = false
  const all = openAll(10, { perSecond: 0, concurrency: 3, stopping }, timer, (index, done) => {
    opened.push(index)
    waiting.push(done)
  }).then(() => {
    isDone = true
  })
  waiting.shift()?.()
  stopping.aborted = true
  waiting.shift()?.()
  waiting.shift()?.()
  await Promise.resolve()
  assert.equal(isDone, false, 'one is under way')
  waiting.shift()?.()
  await all
  assert.deepEqual(opened, [0, 1, 2, 3])
})

test('what is stopped while it waits for its rate ends at the next turn', async () => {
  const timer = new FakeTimer()
  const stopping = { aborted: false }
  const opened: number[] = []
  const all = openAll(10, { perSecond: 1, concurrency: 3, stopping }, timer, (index, done) => {
    opened.push(index)
    done()
  })
  stopping.aborted = true
  timer.turn()
  await all
  assert.deepEqual(opened, [0])
})
