// Whose bytes a message has: small payloads wait in blocks, which nobody but messages may see.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES, BLOCK_PAYLOAD_BYTES_MAX } from './limits.ts'
import type { Message } from './message.ts'
import { subscribed, take } from './testing/subscribed.ts'

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
