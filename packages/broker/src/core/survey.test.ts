// Counting what waits: over connected and sleeping sessions and groups, in steps.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Model } from '../store/testing/model.ts'
import { World } from '../testing/harness.ts'
import { connectKept } from '../testing/v5.ts'
import { Survey } from './survey.ts'

function counted(world: World, step: number): { numbers: number[]; steps: number } {
  const survey = new Survey(world.broker)
  let steps = 1
  while (survey.step(step)) steps++
  return { numbers: [survey.inFlight, survey.queuedMessages, survey.queuedBytes], steps }
}

/** Two in flight and one behind them, two that wait for who is away, three in a group. */
function busyWorld(pages: boolean): World {
  const world = new World(pages ? { kept: new Model() } : {})
  const narrow = connectKept(world, 'narrow', { receiveMaximum: 2 })
  narrow.subscribe('n', 1)
  const away = connectKept(world, 'away')
  away.subscribe('a', 1)
  away.cut()
  const member = connectKept(world, 'member')
  member.subscribe('$share/g/s', 1)
  member.cut()
  const publisher = world.connect({ clientId: 'publisher' })
  for (const topic of ['n', 'n', 'n', 'a', 'a', 's', 's', 's']) {
    publisher.publish(topic, 'x', { qos: 1 })
  }
  return world
}

test('what waits and what is in flight is counted over sessions and groups', () => {
  const { numbers } = counted(busyWorld(false), 1000)
  const [inFlight, messages, bytes = 0] = numbers
  assert.deepEqual([inFlight, messages], [2, 8])
  assert.ok(bytes >= 8 * 'n x'.length, String(bytes))
})

test('who sleeps is counted where it sleeps', () => {
  const world = busyWorld(true)
  assert.ok(world.broker.sleep.sleepers.count > 0)
  const { numbers } = counted(world, 3)
  assert.deepEqual(numbers.slice(0, 2), [2, 8])
})

test('steps of any length count the same, and each is as short as it was asked to be', () => {
  const world = busyWorld(false)
  const whole = counted(world, 1000)
  assert.equal(whole.steps, 1)
  const pieces = counted(world, 1)
  assert.deepEqual(pieces.numbers, whole.numbers)
  // Four sessions and a group, and the step that finds nothing more.
  assert.equal(pieces.steps, 6)
})

test('who comes while it goes on does not keep it from its end', () => {
  const world = new World()
  for (let i = 0; i < 3; i++) world.connect({ clientId: `first-${i}` })
  const survey = new Survey(world.broker)
  let steps = 0
  while (survey.step(1)) world.connect({ clientId: `later-${steps++}` })
  assert.equal(steps, 3)
})

test('who goes while it goes on is not counted, and nothing else is lost by it', () => {
  const world = new World()
  const clients = [0, 1, 2].map(i => {
    const client = world.connect({ clientId: `c${i}`, properties: { receiveMaximum: 5 } })
    client.subscribe('t', 1)
    return client
  })
  world.connect({ clientId: 'publisher' }).publish('t', 'x', { qos: 1 })
  const survey = new Survey(world.broker)
  survey.step(1)
  clients[1]?.cut()
  while (survey.step(1));
  assert.equal(survey.inFlight, 2)
})
