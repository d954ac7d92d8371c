// Whose bytes a message has: small payloads wait in blocks, which nobody but messages may see.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePacket } from '@godwit/packet'
import { BLOCK_BYTES, BLOCK_PAYLOAD_BYTES_MAX } from './limits.ts'
import type { Message } from './message.ts'
import { subscribed, take } from './testing/subscribed.ts'
import { publishOf } from './testing/world.ts'

/** The messages that come when the server sends these. */
async function messagesOf(texts: readonly string[]): Promise<Message[]> {
  const { world, subscription } = await subscribed('a')
  for (const text of texts) world.peer.publish('a', text)
  const messages: Message[] = []
  while (subscription.buffered > 0) messages.push(await take(subscription))
  return messages
}

test('each message has its own text, however many fill their blocks', async () => {
  const sizes = [0, 1, BLOCK_PAYLOAD_BYTES_MAX, BLOCK_PAYLOAD_BYTES_MAX + 1, 100, BLOCK_BYTES]
  const texts = Array.from({ length: 200 }, (_, i) => {
    return String.fromCharCode(97 + (i % 26)).repeat(sizes[i % sizes.length] ?? 0)
  })
  const messages = await messagesOf(texts)
  assert.deepEqual(
    messages.map(message => message.text()),
    texts,
  )
  assert.deepEqual(
    messages.map(({ payload }) => Buffer.from(payload).toString()),
    texts,
  )
})

test('messages of one chunk have their own texts, whatever lies between them', async () => {
  const { world, subscription } = await subscribed('a')
  const sizes = [3, BLOCK_BYTES, 0, BLOCK_PAYLOAD_BYTES_MAX, BLOCK_PAYLOAD_BYTES_MAX + 1, 9]
  const texts = Array.from({ length: 150 }, (_, i) => {
    return String.fromCharCode(97 + (i % 26)).repeat(sizes[(i * 5) % sizes.length] ?? 0)
  })
  const chunk = Buffer.concat(texts.map(text => encodePacket(publishOf('a', text), 5)))
  for (let round = 0; round < 3; round++) world.peer.sendBytes(chunk)
  for (const text of [...texts, ...texts, ...texts]) {
    const message = await take(subscription)
    assert.equal(message.text(), text)
    assert.equal(Buffer.from(message.payload).toString(), text)
  }
})

test('a chunk that comes in the array of the one before is not taken for it', async () => {
  const { world, subscription } = await subscribed('a')
  const frames = ['one', 'two', 'six'].map(text => encodePacket(publishOf('a', text), 5))
  const chunk = new Uint8Array(frames[0]?.length ?? 0)
  for (const frame of frames) world.peer.sendBytes(frame, chunk)
  for (const text of ['one', 'two', 'six']) assert.equal((await take(subscription)).text(), text)
})

test('topics of equal length are told apart, and the one before is remembered', async () => {
  const { world, subscription } = await subscribed('+/+')
  const topics = ['a/b', 'a/c', 'a/c', 'ä/b', 'ab/c', 'a/b', 'b/b', 'ä/b']
  for (const topic of topics) world.peer.publish(topic, '')
  for (const topic of topics) assert.equal((await take(subscription)).topic, topic)
})

test('a payload may be transferred or overwritten: no other message has its bytes', async () => {
  const [first, second, third] = await messagesOf(['one', 'two', '{"three":3}'])
  assert.ok(first !== undefined && second !== undefined && third !== undefined)
  const { payload } = second
  assert.equal(payload.buffer.byteLength, 3)
  assert.equal(second.payload, payload)
  structuredClone(payload, { transfer: [payload.buffer as ArrayBuffer] })
  assert.equal(payload.length, 0)
  first.payload.fill(0x78)
  assert.equal(first.text(), 'xxx')
  assert.deepEqual(third.json(), { three: 3 })
  const [later] = await messagesOf(['later'])
  assert.equal(later?.text(), 'later')
})

test('a copy that is kept has its own bytes, asked for before or not', async () => {
  const [message] = await messagesOf(['kept'])
  assert.ok(message !== undefined)
  const early = message.keep()
  assert.equal(early.payload.buffer.byteLength, 4)
  message.payload.fill(0x78)
  assert.equal(message.keep().text(), 'xxxx')
  assert.equal(early.text(), 'kept')
  assert.equal(early.payloadLength, 4)
})

test('bytes that are not UTF-8 become U+FFFD, and spoil no text after them', async () => {
  const { world, subscription } = await subscribed('a')
  // The first two of the three bytes of a euro sign.
  world.peer.sendBytes([0x30, 6, 0, 1, 0x61, 0, 0xe2, 0x82])
  world.peer.publish('a', 'good')
  assert.equal((await take(subscription)).text(), '\ufffd')
  assert.equal((await take(subscription)).text(), 'good')
})
