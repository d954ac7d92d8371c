// The wheel of timers, against a plain list.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Timer, TimerWheel } from './expiry.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const SLOT_MS = 100

class Clock {
  readonly due: Timer[] = []
  nowMs = 1000
  readonly wheel = new TimerWheel(1000)
  readonly owner = { due: (timer: Timer): void => void this.due.push(timer) }

  turnTo(ms: number): Timer[] {
    this.nowMs = ms
    this.due.length = 0
    this.wheel.turn(ms)
    return [...this.due]
  }
}

const Step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), timer: fc.nat(9), afterMs: fc.nat(5000) }),
  fc.record({ kind: fc.constant('cancel' as const), timer: fc.nat(9) }),
  fc.record({ kind: fc.constant('turn' as const), byMs: fc.nat(1500) }),
)

test('each timer is due once, not before its time and at most a slot after it', () => {
  fc.assert(
    fc.property(fc.array(Step, { maxLength: 100 }), steps => {
      const clock = new Clock()
      const timers = Array.from({ length: 10 }, () => new Timer(clock.owner))
      const dueAt = new Map<Timer, number>()
      for (const step of steps) {
        if (step.kind === 'turn') {
          const due = clock.turnTo(clock.nowMs + step.byMs)
          for (const timer of due) {
            assert.ok((dueAt.get(timer) ?? Number.POSITIVE_INFINITY) <= clock.nowMs, 'too early')
            dueAt.delete(timer)
          }
          for (const [, atMs] of dueAt) assert.ok(atMs > clock.nowMs - SLOT_MS, 'too late')
          const times = due.map(timer => timer.atMs)
          assert.deepEqual(
            times,
            times.map(() => -1),
            'what was due is not set any more',
          )
          continue
        }
        const timer = timers[step.timer] as Timer
        if (step.kind === 'cancel') {
          clock.wheel.cancel(timer)
          dueAt.delete(timer)
          continue
        }
        clock.wheel.set(timer, clock.nowMs + step.afterMs)
        dueAt.set(timer, clock.nowMs + step.afterMs)
      }
      clock.turnTo(clock.nowMs + 10_000)
      assert.equal(clock.due.length, dueAt.size)
    }),
    { numRuns: 300 },
  )
})

test('timers of different slots are due in the order of time, whatever was set first', () => {
  const clock = new Clock()
  const timers = [3000, 1500, 2200].map(atMs => {
    const timer = new Timer(clock.owner)
    clock.wheel.set(timer, atMs)
    return timer
  })
  assert.deepEqual(clock.turnTo(5000), [timers[1], timers[2], timers[0]])
})

test('a clock that jumps years ahead calls what is due, and costs no walk over all slots', () => {
  const clock = new Clock()
  const near = new Timer(clock.owner)
  const far = new Timer(clock.owner)
  clock.wheel.set(near, 2000)
  clock.wheel.set(far, 1e15)
  assert.deepEqual(clock.turnTo(1e12), [near])
  assert.deepEqual(clock.turnTo(2e15), [far])
})

test('one that sets itself again while it is due comes later, not at once', () => {
  const wheel = new TimerWheel(0)
  let calls = 0
  const timer: Timer = new Timer({
    due: () => {
      calls++
      wheel.set(timer, 0)
    },
  })
  wheel.set(timer, 100)
  wheel.turn(100)
  assert.equal(calls, 1)
  wheel.turn(200)
  assert.equal(calls, 2)
})

test('one that cancels another of the same slot is obeyed', () => {
  const wheel = new TimerWheel(0)
  const calls: string[] = []
  const timers: Timer[] = []
  for (const name of ['a', 'b']) {
    timers.push(
      new Timer({
        due: timer => {
          calls.push(name)
          for (const other of timers) if (other !== timer) wheel.cancel(other)
        },
      }),
    )
  }
  for (const timer of timers) wheel.set(timer, 100)
  wheel.turn(100)
  assert.equal(calls.length, 1)
})

test('a clock that stands still or goes back calls nothing', () => {
  const clock = new Clock()
  const timer = new Timer(clock.owner)
  clock.wheel.set(timer, 1100)
  assert.deepEqual(clock.turnTo(1000), [])
  assert.deepEqual(clock.turnTo(500), [])
  assert.deepEqual(clock.turnTo(1100), [timer])
})
