// A server that begins anew again and again must not fill the memory behind a slow reader.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Limits } from './limits.ts'
import { subscribed, take } from './testing/subscribed.ts'

const WINDOW = 3
const BUFFER = 3
const MESSAGES_MAX = BUFFER + WINDOW * Limits.unreadWindows

test('what earlier connections left unread is bounded, at the limit and one more', async () => {
  const { world, client, subscription } = await subscribed(
    'a',
    { buffer: { messagesMax: BUFFER } },
    { receiveMaximum: WINDOW },
  )
  let sent = 0
  const send = (): void => world.peer.publish('a', `${++sent}`, 1, 1 + (sent % WINDOW))
  for (let windows = 0; windows * WINDOW < MESSAGES_MAX; windows++) {
    if (windows > 0) await world.reconnected()
    for (let i = 0; i < WINDOW; i++) send()
  }
  await world.settle()
  assert.equal(subscription.buffered, MESSAGES_MAX)
  assert.equal(client.state, 'connected')
  await world.reconnected()
  send()
  await world.settle()
  assert.equal(client.state, 'waiting')
  assert.equal(subscription.buffered, MESSAGES_MAX)
  // The server was not told that it has arrived, and may send it again when there is room.
  for (let i = 0; i < 2; i++) await take(subscription)
  await world.reconnected()
  send()
  await world.settle()
  assert.equal(client.state, 'connected')
  assert.equal(subscription.buffered, MESSAGES_MAX - 1)
})

test('before MQTT 5.0 QoS 2 that waits for PUBREL does not stop reading PUBREL', async () => {
  const { world, client, subscription } = await subscribed(
    'a',
    { qos: 2 },
    { receiveMaximum: 4, protocolVersion: 4 },
  )
  for (let id = 1; id <= 3; id++) world.peer.publish('a', `${id}`, 2, id)
  for (let id = 1; id <= 3; id++) await take(subscription)
  // The third one is acknowledged when the next is asked for.
  const fourth = subscription.next()
  world.peer.publish('a', '4', 2, 4)
  await fourth
  await world.settle()
  assert.deepEqual(world.peer.takeShort(), ['PUBREC 1', 'PUBREC 2', 'PUBREC 3'])
  assert.equal(world.peer.paused, false)
  for (let id = 5; id <= 7; id++) world.peer.publish('a', `${id}`, 2, id)
  assert.equal(world.peer.paused, true)
  assert.equal(client.state, 'connected')
})
