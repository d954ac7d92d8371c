// The simulation holds what it promises: a seed is a run, and a run finds what is wrong.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ELEMENTS, Survey } from './coverage.ts'
import type { Facts } from './model/facts.ts'
import { broken } from './model/failure.ts'
import { reportOf } from './report.ts'
import { run } from './run.ts'

// Those that divide by 3 have a plain store.
const SEEDS = [2, 3, 8, 20, 64, 86]

test('the same seed gives the same run, another one another', async () => {
  const first = await run(20)
  const second = await run(20)
  assert.equal(first.hash, second.hash)
  assert.deepEqual(first.history, second.history)
  assert.notEqual(first.hash, (await run(21)).hash)
})

for (const seed of SEEDS) {
  test(`seed ${seed} breaks no rule`, async () => {
    const { failure, history } = await run(seed)
    assert.equal(failure, null, `${failure?.stack}\n${history.join('\n')}`)
  })
}

test('a run that breaks a rule says seed, commit and the last events, and replays', async () => {
  const rule = (facts: Facts): void => {
    if (facts.at > 200) broken('planted', `at event ${facts.at}`)
  }
  const first = await run(20, 30, rule)
  const second = await run(20, 30, rule)
  assert.match(first.failure?.message ?? '', /^planted: at event \d+$/)
  assert.equal(second.failure?.message, first.failure?.message)
  assert.equal(second.hash, first.hash)
  assert.deepEqual(second.history, first.history)
  const report = reportOf(first, 'abc1234', { hasHistory: true, hasStack: false })
  assert.equal(report.length, 31)
  assert.deepEqual(report.slice(0, 30), first.history)
  assert.equal(report[30], `seed 20 at commit abc1234: ${first.failure?.message}`)
})

test('a run says what occurred in it', async () => {
  const { coverage } = await run(2)
  const survey = new Survey()
  survey.add(coverage)
  assert.ok((coverage.get('QoS 1 comes') ?? 0) > 0)
  assert.equal(survey.rare(1).includes('a plain store is used'), true)
  assert.equal(survey.rare(1).includes('the real store is used'), false)
  assert.equal(survey.lines().length, ELEMENTS.length)
})
