// A test that lacks what it needs is left out with a reason, but not in CI.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { skipWithout } from './skip.ts'

/** Runs `act` with GODWIT_CI set to a value, and puts back what was there. */
function withCi(value: string, act: () => void): void {
  const before = process.env['GODWIT_CI']
  process.env['GODWIT_CI'] = value
  try {
    act()
  } finally {
    process.env['GODWIT_CI'] = before ?? ''
  }
}

function contextThatNotes(reasons: (string | undefined)[]): TestContext {
  return { skip: (reason?: string) => reasons.push(reason) } as unknown as TestContext
}

test('a test that has what it needs goes on', () => {
  const reasons: (string | undefined)[] = []
  withCi('1', () => assert.equal(skipWithout(contextThatNotes(reasons), undefined), false))
  assert.deepEqual(reasons, [])
})

test('a test that lacks a program is left out with the reason', () => {
  const reasons: (string | undefined)[] = []
  withCi('', () => assert.equal(skipWithout(contextThatNotes(reasons), 'mosquitto_pub'), true))
  assert.deepEqual(reasons, ['missing: mosquitto_pub'])
})

test('in CI a test that lacks a program fails', () => {
  const reasons: (string | undefined)[] = []
  const run = (): boolean => skipWithout(contextThatNotes(reasons), 'mosquitto_pub')
  withCi('1', () => assert.throws(run, /mosquitto_pub/))
  assert.deepEqual(reasons, [])
})
