// How pub hands its messages over, without a broker.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LinkError, type OutgoingMessage } from '../network/link.ts'
import { sendAll } from './pub.ts'

/** A link whose acknowledgements the test gives. */
class SlowLink {
  readonly waiting: { acknowledge(code: number): void; fail(error: Error): void }[] = []

  publish(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ acknowledge: resolve, fail: reject })
    })
  }
}

function counted(count: number): { taken: number; messages: AsyncIterable<OutgoingMessage> } {
  const source = { taken: 0, messages: generate() }
  async function* generate(): AsyncGenerator<OutgoingMessage> {
    for (; source.taken < count; source.taken++) {
      yield { topic: 'a', payload: new Uint8Array(1), qos: 1, retain: false, properties: {} }
    }
  }
  return source
}

/** All that can happen without a further acknowledgement has happened. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>(resolve => setImmediate(resolve))
}

const silent = (): void => undefined

test('no more is read than can be sent: 1000 messages ahead', async () => {
  const link = new SlowLink()
  const source = counted(5000)
  const done = sendAll(link, source.messages, silent)
  await quiet()
  assert.equal(link.waiting.length, 1000)
  assert.ok(source.taken <= 1000)
  for (let i = 0; i < 10; i++) link.waiting[i]?.acknowledge(0)
  await quiet()
  assert.equal(link.waiting.length, 1010)
  for (let at = 10; at < 5000; at++) {
    if (link.waiting[at] === undefined) await quiet()
    link.waiting[at]?.acknowledge(0)
  }
  assert.equal(await done, 0)
  assert.equal(link.waiting.length, 5000)
})

test('it is done only when everything was acknowledged', async () => {
  const link = new SlowLink()
  let done = false
  const sending = sendAll(link, counted(3).messages, silent).then(code => {
    done = true
    return code
  })
  await quiet()
  link.waiting[0]?.acknowledge(0)
  link.waiting[2]?.acknowledge(0)
  await quiet()
  assert.equal(done, false)
  link.waiting[1]?.acknowledge(0)
  assert.equal(await sending, 0)
})

test('a message that is refused is told, and gives the exit code', async () => {
  const link = new SlowLink()
  const said: string[] = []
  const sending = sendAll(link, counted(3).messages, text => said.push(text))
  await quiet()
  for (const [index, code] of [0, 0x87, 0x10].entries()) link.waiting[index]?.acknowledge(code)
  assert.equal(await sending, 0x87)
  assert.deepEqual(said, ['Warning: Publish 2 failed: Not authorized.'])
})

test('a connection that is lost ends it, and no further message is taken', async () => {
  const link = new SlowLink()
  const source = counted(5000)
  const sending = sendAll(link, source.messages, silent)
  await quiet()
  link.waiting[3]?.fail(new LinkError('lost', 'gone', 0))
  await assert.rejects(sending, /gone/)
  const { taken } = source
  await quiet()
  assert.equal(source.taken, taken)
})

test('nothing to publish is published at once', async () => {
  assert.equal(await sendAll(new SlowLink(), counted(0).messages, silent), 0)
})

test('what came before a wrong line is acknowledged before the mistake is told', async () => {
  const link = new SlowLink()
  async function* wrong(): AsyncGenerator<OutgoingMessage> {
    yield* counted(2).messages
    throw new Error('line 3 is wrong')
  }
  let told = ''
  const sending = sendAll(link, wrong(), silent).catch((error: Error) => {
    told = error.message
  })
  await quiet()
  assert.equal(told, '')
  for (const one of link.waiting) one.acknowledge(0)
  await sending
  assert.equal(told, 'line 3 is wrong')
  assert.equal(link.waiting.length, 2)
})
