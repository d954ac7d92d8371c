// Loops over values: what is decoded, what is not valid, and when it is acknowledged.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decoded, json, type PayloadSchema } from './decoded.ts'
import type { MqttError } from './errors.ts'
import { publishOf, World } from './testing/world.ts'

interface Reading {
  readonly power: number
}

/** A schema as libraries have them, that takes its time. */
const Reading: PayloadSchema<Reading> = {
  '~standard': {
    validate: async value => {
      const power = (value as { power?: unknown } | null)?.power
      if (typeof power === 'number') return { value: { power } }
      return { issues: [{ message: 'power: expected a number' }, { message: 'and that was all' }] }
    },
  },
}

async function subscribed(world: World, payloads: readonly string[]) {
  const client = await world.connected()
  const readings = client.subscribe('site/+site/power')
  await world.settle()
  world.peer.suback(1, 1)
  payloads.forEach((payload, i) => {
    world.peer.send(publishOf('site/north/power', payload, 1, i + 1))
  })
  await world.settle()
  world.peer.take()
  return { readings }
}

test('values come with their parameters, and are acknowledged when the loop goes on', async () => {
  const world = new World()
  const { readings } = await subscribed(world, ['{"power":1}', '{"power":2}'])
  const values = decoded(readings, json(Reading))
  const { value: first } = await values.next()
  assert.ok(first !== undefined)
  assert.deepEqual([first.params.site, first.topic], ['north', 'site/north/power'])
  assert.deepEqual([first.value, first.message.payloadLength], [{ power: 1 }, 11])
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), [])
  assert.deepEqual((await values.next()).value?.value, { power: 2 })
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1'])
  const left = values.return()
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 2', 'UNSUBSCRIBE 2 site/+/power'])
  world.peer.unsuback(2, 0)
  await left
})

for (const [what, payload, text] of [
  ['what the schema refuses', '{}', 'power: expected a number; and that was all'],
  ['what is no JSON', '{"power":', /JSON/],
] as const) {
  test(`${what} ends the loop, with topic and cause`, async () => {
    const world = new World()
    const { readings } = await subscribed(world, [payload])
    const next = decoded(readings, json(Reading)).next()
    const fails = assert.rejects(next, (error: MqttError) => {
      assert.equal(error.code, 'invalid-payload')
      assert.match(error.message, /^site\/north\/power: /)
      if (typeof text === 'string') assert.ok(error.message.endsWith(text))
      else assert.match(error.message, text)
      assert.ok(error.cause instanceof Error)
      return true
    })
    await world.settle()
    world.peer.unsuback(2, 0)
    await fails
    assert.deepEqual(world.peer.takeShort(), ['PUBACK 1', 'UNSUBSCRIBE 2 site/+/power'])
  })
}

test('with `invalid` what is not valid is told, and the loop goes on', async () => {
  const world = new World()
  const { readings } = await subscribed(world, ['x', '{"power":2}'])
  const told: string[] = []
  const values = decoded(readings, json(Reading), {
    invalid: (error, message) => told.push(`${error.code} ${message.params.site}`),
  })
  const { value } = await values.next()
  assert.ok(value !== undefined)
  assert.equal(value.value.power, 2)
  assert.deepEqual(told, ['invalid-payload north'])
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBACK 1'])
})

test('an `invalid` that rejects ends the loop with what it rejects with', async () => {
  const world = new World()
  const { readings } = await subscribed(world, ['x'])
  const values = decoded(readings, json(Reading), {
    invalid: async () => {
      throw new Error('of the application')
    },
  })
  const fails = assert.rejects(values.next(), /of the application/)
  await world.settle()
  world.peer.unsuback(2, 0)
  await fails
})

test('without a schema JSON is taken as it is, and any decoder will do', async () => {
  const world = new World()
  const { readings } = await subscribed(world, ['[1]', 'two'])
  const lists = decoded(readings, json<number[]>())
  assert.deepEqual((await lists.next()).value?.value, [1])
  const texts = decoded(readings, message => message.text().toUpperCase())
  assert.equal((await texts.next()).value?.value, 'TWO')
})
