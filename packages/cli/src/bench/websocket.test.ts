// The WebSocket of the testers against `ws` of the broker, and against a server that cuts and lies.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Transport, TransportOwner } from './transport.ts'
import { WebSocketFrames } from './websocket.ts'

/** A stream that keeps what is written and hears from the test. */
class Wire implements Transport {
  readonly isFull = false
  readonly written: Buffer[] = []
  isDestroyed = false
  isEnded = false

  write(bytes: Uint8Array, done: (() => void) | null): void {
    this.written.push(Buffer.from(bytes))
    done?.()
  }

  pause(): void {
    throw new Error('nobody pauses')
  }

  resume(): void {
    throw new Error('nobody resumes')
  }

  end(bytes: Uint8Array): void {
    this.written.push(Buffer.from(bytes))
    this.isEnded = true
  }

  destroy(): void {
    this.isDestroyed = true
  }
}

class Owner implements TransportOwner {
  isOpen = false
  readonly bytes: number[] = []
  failure: Error | null = null

  opened(): void {
    this.isOpen = true
  }

  received(bytes: Uint8Array, length: number): void {
    this.bytes.push(...bytes.subarray(0, length))
  }

  drained(): void {
    throw new Error('nothing was full')
  }

  closed(error: Error | null): void {
    this.failure = error
  }
}

function begin(): { wire: Wire; owner: Owner; frames: WebSocketFrames; head: Buffer } {
  const wire = new Wire()
  const owner = new Owner()
  const frames = new WebSocketFrames('host:80', '/mqtt', wire, owner)
  frames.opened()
  const request = wire.written.splice(0).join('')
  const key = /Sec-WebSocket-Key: (\S+)/.exec(request)?.[1] ?? ''
  assert.match(request, /^GET \/mqtt HTTP\/1\.1\r\nHost: host:80\r\n/)
  assert.match(request, /Sec-WebSocket-Protocol: mqtt\r\n/)
  const hash = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  const accept = `Sec-WebSocket-Accept: ${hash.digest('base64')}`
  const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n${accept}\r\n\r\n`
  return { wire, owner, frames, head: Buffer.from(head) }
}

/** Feeds bytes in pieces of one size. */
function feed(frames: WebSocketFrames, bytes: Buffer, size: number): void {
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    frames.received(piece, piece.length)
  }
}

function unmasked(frame: Buffer): { first: number; payload: Buffer } {
  const short = (frame[1] ?? 0) & 127
  assert.equal((frame[1] ?? 0) & 128, 128, 'a client masks its frames')
  const at = short === 127 ? 10 : short === 126 ? 4 : 2
  const mask = frame.subarray(at, at + 4)
  const payload = Buffer.from(frame.subarray(at + 4))
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0)
  return { first: frame[0] ?? 0, payload }
}

const LONG = Buffer.alloc(300, 7)
const VERY_LONG = Buffer.alloc(70_000, 9)
const Frames: readonly Buffer[] = [
  Buffer.from([0x82, 2, 1, 2]),
  // One message in two frames.
  Buffer.from([0x02, 1, 3]),
  Buffer.from([0x80, 1, 4]),
  Buffer.concat([Buffer.from([0x82, 126, 1, 44]), LONG]),
  Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]), VERY_LONG]),
]

for (const size of [1, 2, 3, 7, 1000, 1_000_000]) {
  test(`frames of every length arrive whole when the stream comes in pieces of ${size}`, () => {
    const { owner, frames, head } = begin()
    feed(frames, Buffer.concat([head, ...Frames]), size)
    assert.equal(owner.isOpen, true)
    const expected = Buffer.concat([Buffer.from([1, 2, 3, 4]), LONG, VERY_LONG])
    assert.ok(Buffer.from(owner.bytes).equals(expected))
  })
}

test('what is sent is masked, with the shortest length', () => {
  const { wire, frames, head } = begin()
  frames.received(head, head.length)
  for (const length of [0, 125, 126, 65_535, 65_536]) {
    const bytes = Buffer.alloc(length, length)
    frames.write(bytes, null)
    const frame = wire.written.pop() ?? Buffer.alloc(0)
    const { first, payload } = unmasked(frame)
    assert.equal(first, 0x82)
    assert.ok(payload.equals(bytes))
    assert.equal(frame.length - length, length < 126 ? 6 : length < 65_536 ? 8 : 14)
  }
})

test('a ping is answered with its bytes, also in the middle of a message', () => {
  const { wire, owner, frames, head } = begin()
  const stream = Buffer.concat([head, Buffer.from([0x02, 1, 5, 0x89, 2, 8, 9, 0x80, 1, 6])])
  feed(frames, stream, 1)
  assert.deepEqual(owner.bytes, [5, 6])
  const { first, payload } = unmasked(wire.written.pop() ?? Buffer.alloc(0))
  assert.deepEqual([first, ...payload], [0x8a, 8, 9])
})

test('a close is answered and ends the connection', () => {
  const { wire, frames, head } = begin()
  feed(frames, Buffer.concat([head, Buffer.from([0x88, 2, 3, 0xe8])]), 5)
  assert.equal(wire.isEnded, true)
  assert.equal(wire.written[0]?.[0], 0x88)
})

const Lies: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['another status', Buffer.from('HTTP/1.1 404 Not Found\r\n\r\n')],
  ['no HTTP', Buffer.from('\x20\x02\x00\x00\r\n\r\n')],
  ['a key of its own', Buffer.from('HTTP/1.1 101 x\r\nSec-WebSocket-Accept: abc\r\n\r\n')],
  ['a header without an end', Buffer.alloc(20_000, 65)],
]
for (const [name, bytes] of Lies) {
  test(`a server that answers with ${name} is left`, () => {
    const { wire, owner, frames } = begin()
    frames.received(bytes, bytes.length)
    assert.equal(wire.isDestroyed, true)
    assert.ok(owner.failure !== null)
    assert.equal(owner.isOpen, false)
  })
}

const WrongFrames: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['a masked frame', Buffer.from([0x82, 0x81, 1, 2, 3, 4, 5])],
  ['a frame of text', Buffer.from([0x81, 1, 65])],
  ['a ping that is too long', Buffer.from([0x89, 126, 1, 0])],
]
for (const [name, bytes] of WrongFrames) {
  test(`a server that sends ${name} is left`, () => {
    const { wire, owner, frames, head } = begin()
    feed(frames, Buffer.concat([head, bytes]), 3)
    assert.equal(wire.isDestroyed, true)
    assert.ok(owner.failure !== null)
  })
}
