// What Node shows of a client: its channels of `node:diagnostics_channel`, and `dump`.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type TestContext, test } from 'node:test'
import { connect } from '@godwit/client'
import { withBroker } from '../support/brokers.ts'

/** What a channel is told from now on. */
function listen(context: TestContext, name: string): unknown[] {
  const heard: unknown[] = []
  const listener = (message: unknown): void => {
    heard.push(message)
  }
  subscribe(name, listener)
  context.after(() => unsubscribe(name, listener))
  return heard
}

test('the channels of the guide are published, with the client of each', async context => {
  const events = listen(context, 'godwit:client:event')
  const published = listen(context, 'godwit:client:publish')
  const messages = listen(context, 'godwit:client:message')
  await withBroker({}, async broker => {
    const client = await connect(() => broker.connect(), { clientId: 'watched' })
    const subscription = client.subscribe('a/+')
    await client.publish('a/b', 'x', { qos: 1 })
    await subscription.next()
    await client.close()
  })
  assert.deepEqual(events, [
    { clientId: 'watched', event: { type: 'connected', sessionPresent: false } },
    { clientId: 'watched', event: { type: 'closed', error: null } },
  ])
  assert.deepEqual(published, [{ clientId: 'watched', topic: 'a/b', qos: 1 }])
  assert.deepEqual(messages, [{ clientId: 'watched', topic: 'a/b', qos: 1 }])
})

test('dump has a line for each packet between a client and a broker', async () => {
  const lines: string[] = []
  await withBroker({}, async broker => {
    const dump = (line: string): void => {
      lines.push(line)
    }
    const client = await connect(() => broker.connect(), { clientId: 'seen', dump })
    await client.publish('a/b', 'on', { qos: 2 })
    await client.close()
  })
  assert.deepEqual(
    lines.map(line =>
      line
        .split(' ')
        .slice(0, line.startsWith('in') ? 3 : 2)
        .join(' '),
    ),
    [
      'out CONNECT',
      'in  CONNACK',
      'out PUBLISH',
      'in  PUBREC',
      'out PUBREL',
      'in  PUBCOMP',
      'out DISCONNECT',
    ],
  )
  assert.match(lines[2] ?? '', /^out PUBLISH "a\/b" qos=2 id=1 payload="on"$/)
})
