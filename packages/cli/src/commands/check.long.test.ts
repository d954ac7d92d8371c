// `godwit check` against the broker, whole, limited and faulty.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type BrokerOptions, createBroker } from '@godwit/broker'
import { type CheckReport, contradictions, reportJson, reportText } from '../check/report.ts'
import { LinkError } from '../network/link.ts'
import { ClientChoice } from '../options/choice.ts'
import { inspect } from './check.ts'

/** @param timeoutSeconds how long a probe waits for what does not come */
async function inspected(
  context: TestContext,
  options: BrokerOptions,
  timeoutSeconds: number,
): Promise<CheckReport> {
  const broker = createBroker({ statsIntervalSeconds: 0, ...options })
  const { port } = await broker.listen({ port: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  const choice = new ClientChoice('check')
  choice.host = '127.0.0.1'
  choice.port = port
  choice.timeoutSeconds = timeoutSeconds
  const report = await inspect(choice)
  assert.equal(broker.stats().retainedMessages, 0, 'nothing is left behind')
  return report
}

function worksOf({ features }: CheckReport): Record<string, boolean | null> {
  return Object.fromEntries(features.map(({ id, works }) => [id, works]))
}

test('check finds that our broker supports everything', async context => {
  const report = await inspected(
    context,
    {
      scram: { users: { joe: 'secret' } },
      hooks: { authenticate: () => true },
    },
    60,
  )
  assert.deepEqual(
    report.versions.map(({ works }) => works),
    [true, true, true],
  )
  const wrong = Object.entries(worksOf(report)).filter(([, works]) => works !== true)
  assert.deepEqual(wrong, [])
  assert.deepEqual(contradictions(report), [])
  const limits = Object.fromEntries(report.limits.map(({ id, value }) => [id, value]))
  assert.equal(typeof limits['roundTrip'], 'number')
  assert.equal(JSON.parse(reportJson(report)).features.shared.declared, true)
  assert.match(reportText(report), /MQTT 5\.0 +yes\n/)
})

test('check finds the limits that a broker declares, and that it keeps to them', async context => {
  const limits = {
    maximumQoS: 1,
    retainAvailable: false,
    receiveMaximum: 7,
    topicAliasMaximum: 0,
    sessionExpirySecondsMax: 100,
    keepAliveSecondsMax: 30,
    packetBytesMax: 100_000,
  } as const
  const report = await inspected(context, { limits }, 60)
  const works = worksOf(report)
  assert.equal(works['qos1'], true)
  assert.equal(works['qos2'], false)
  assert.equal(works['retained'], false)
  assert.equal(works['aliasesToBroker'], false)
  assert.deepEqual(contradictions(report), [])
  const found = Object.fromEntries(report.limits.map(({ id, value }) => [id, value]))
  assert.equal(found['receiveMaximum'], 7)
  assert.equal(found['maximumPacketSize'], 100_000)
  assert.equal(found['keepAlive'], 30)
  assert.equal(found['sessionExpiry'], 100)
  assert.equal(found['triedPayload'], 16)
})

test('check finds where a broker does not do what it says', async context => {
  const report = await inspected(
    context,
    {
      hooks: {
        publish: ({ retain, properties }) => {
          if (retain) return { retain: false }
          return properties.contentType === undefined ? undefined : { properties: {} }
        },
      },
    },
    4,
  )
  assert.deepEqual(
    contradictions(report).map(({ id }) => id),
    ['retained'],
  )
  assert.equal(worksOf(report)['properties'], false)
  assert.match(reportText(report), /retained messages.*it is said to work, and does not/)
})

test('check says so when the user may do nothing', async context => {
  const report = await inspected(context, { hooks: { authorizePublish: () => false } }, 1)
  assert.equal(worksOf(report)['qos0'], false)
  assert.match(reportText(report), /may this user use topics below godwit-check/)
  assert.deepEqual(contradictions(report), [])
})

test('check says why there is no connection', async context => {
  const broker = createBroker({ statsIntervalSeconds: 0, hooks: { authenticate: () => false } })
  const { port } = await broker.listen({ port: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  const choice = new ClientChoice('check')
  choice.host = '127.0.0.1'
  choice.port = port
  await assert.rejects(inspect(choice), (error: unknown) => {
    return error instanceof LinkError && error.kind === 'refused' && error.code === 0x87
  })
})
