// The WebSocket of a page, with one that the test plays: how a page learns of room.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { HIGH_WATER_BYTES } from '../limits.ts'
import type { Transport } from '../transport.ts'
import { openBrowserWebSocket } from './browser-websocket.ts'

const OPEN = 1

class FakeSocket {
  static latest: FakeSocket
  readonly url: string
  readonly protocol: string
  binaryType = 'blob'
  readyState = 0
  bufferedAmount = 0
  onopen: () => void = () => undefined
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: (event: { code: number; reason: string }) => void = () => undefined
  readonly closes: number[] = []

  constructor(url: string, protocol: string) {
    this.url = url
    this.protocol = protocol
    FakeSocket.latest = this
  }

  send(bytes: Uint8Array): void {
    this.bufferedAmount += bytes.length
  }

  close(code: number): void {
    this.closes.push(code)
  }
}

interface Opened {
  readonly transport: Transport
  readonly socket: FakeSocket
  readonly seen: unknown[]
}

function open(context: TestContext): Opened {
  const scope = globalThis as { WebSocket?: unknown }
  const before = scope.WebSocket
  scope.WebSocket = FakeSocket
  context.after(() => {
    scope.WebSocket = before
  })
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const seen: unknown[] = []
  const transport = openBrowserWebSocket(new URL('wss://host/mqtt'), {
    opened: () => seen.push('opened'),
    received: bytes => seen.push([...bytes]),
    drained: () => seen.push('drained'),
    closed: error => seen.push(error === null ? 'closed' : error.message),
  })
  const socket = FakeSocket.latest
  socket.readyState = OPEN
  socket.onopen()
  seen.length = 0
  return { transport, socket, seen }
}

test('the subprotocol is mqtt, and what comes is bytes [MQTT-6.0.0-3]', context => {
  const { socket, seen } = open(context)
  assert.deepEqual(
    [socket.url, socket.protocol, socket.binaryType],
    ['wss://host/mqtt', 'mqtt', 'arraybuffer'],
  )
  socket.onmessage?.({ data: Uint8Array.of(1, 2).buffer })
  assert.deepEqual(seen, [[1, 2]])
})

test('room is told within milliseconds, once, and only after there was none', context => {
  const { transport, socket, seen } = open(context)
  transport.write(new Uint8Array(HIGH_WATER_BYTES))
  context.mock.timers.tick(1000)
  assert.deepEqual(seen, [])
  transport.write(new Uint8Array(1))
  transport.write(new Uint8Array(1))
  assert.equal(transport.bufferedBytes, HIGH_WATER_BYTES + 2)
  context.mock.timers.tick(10)
  assert.deepEqual(seen, [])
  socket.bufferedAmount = HIGH_WATER_BYTES
  context.mock.timers.tick(5)
  assert.deepEqual(seen, ['drained'])
  context.mock.timers.tick(1000)
  assert.deepEqual(seen, ['drained'])
})

test('a socket that closes is told once, and nothing of room any more', context => {
  const { transport, socket, seen } = open(context)
  transport.write(new Uint8Array(HIGH_WATER_BYTES + 1))
  socket.onclose({ code: 1006, reason: '' })
  socket.onclose({ code: 1006, reason: '' })
  socket.bufferedAmount = 0
  context.mock.timers.tick(1000)
  assert.deepEqual(seen, ['the WebSocket closed with status 1006'])
})

test('a frame of text closes the connection [MQTT-6.0.0-1]', context => {
  const { socket, seen } = open(context)
  socket.onmessage?.({ data: 'text' })
  assert.deepEqual(seen, ['a text frame; MQTT is binary'])
  assert.deepEqual(socket.closes, [3003])
  assert.equal(socket.onmessage, null)
})
