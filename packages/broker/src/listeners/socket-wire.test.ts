// What a socket brings comes once and in order, however often reading is paused meanwhile.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import type { Origin, Wire } from '../core/ports.ts'
import { alive } from '../testing/alive.ts'
import { Descriptors } from './descriptors.ts'
import { Linger } from './linger.ts'
import type { ListenerHost, Receiver } from './listener.ts'
import { SocketOptions } from './listener.ts'
import { openSocket } from './socket-wire.ts'

const origin: Origin = {
  transport: 'tcp',
  remoteAddress: '',
  remotePort: 0,
  listener: 'test',
  certificate: null,
}

/** A pair of sockets: one is a wire that `receive` gets the bytes of. */
async function pair(
  receive: (wire: Wire, chunk: Uint8Array) => void,
  where: Origin | (() => Origin) = origin,
): Promise<{ client: Socket; closed: Promise<void>; end(): Promise<void> }> {
  let tellClosed: () => void = () => undefined
  const closed = new Promise<void>(resolve => {
    tellClosed = resolve
  })
  const linger = new Linger()
  const host: ListenerHost = {
    open: (wire): Receiver => ({
      bytes: chunk => receive(wire, chunk),
      collected: () => undefined,
      drained: () => undefined,
      closed: () => tellClosed(),
    }),
    refused: () => undefined,
    failed: () => undefined,
    handshakeTimeoutMs: 10_000,
    descriptors: new Descriptors(() => undefined),
    frameBytesMax: 1000,
    linger,
  }
  const server = createServer(SocketOptions, socket => openSocket(socket, where, host))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(client, 'connect')
  const end = async () => {
    client.destroy()
    linger.destroyAll()
    server.close()
    await once(server, 'close')
  }
  return { client, closed, end }
}

/** Bytes whose order shows: each is the one before and one more, but for a prime modulus. */
function numbered(byteCount: number): Uint8Array {
  return new Uint8Array(byteCount).map((_byte, i) => i % 251)
}

for (const [what, pauseEvery] of [
  ['without a pause', 0],
  ['with a pause at each chunk', 1],
  ['with a pause at every third chunk', 3],
] as const) {
  test(`all bytes come once and in order ${what}, then the end`, async () => {
    const byteCount = 3_000_000
    let received = 0
    let chunks = 0
    let isPaused = false
    const { client, closed, end } = await pair((wire, chunk) => {
      for (const byte of chunk) {
        if (byte !== received % 251) assert.fail(`byte ${received} is ${byte}`)
        received++
      }
      assert.equal(isPaused, false, 'nothing comes before the next turn once reading is paused')
      if (pauseEvery === 0 || ++chunks % pauseEvery !== 0) return
      isPaused = true
      wire.pauseReading()
      setImmediate(() => {
        isPaused = false
        wire.resumeReading()
      })
    })
    client.resume()
    client.end(numbered(byteCount))
    await alive(closed)
    assert.equal(received, byteCount)
    await end()
  })
}

test('who does not read stops the peer, and goes on with the next byte', async () => {
  let received = 0
  let pausedWire: Wire | null = null
  let tellPaused: () => void = () => undefined
  const paused = new Promise<void>(resolve => {
    tellPaused = resolve
  })
  const { client, closed, end } = await pair((wire, chunk) => {
    for (const byte of chunk) assert.equal(byte, received++ % 251)
    if (pausedWire !== null) return
    pausedWire = wire
    wire.pauseReading()
    tellPaused()
  })
  const byteCount = 40_000_000
  client.resume()
  client.end(numbered(byteCount))
  await alive(paused)
  const before = received
  // Whatever the systems hold in between is less than this.
  for (let turn = 0; turn < 200; turn++) await new Promise(resolve => setImmediate(resolve))
  assert.equal(received, before)
  assert.ok(client.writableLength > 0)
  const wire = pausedWire as Wire | null
  wire?.resumeReading()
  await alive(closed)
  assert.equal(received, byteCount)
  await end()
})

test('nothing comes after the wire was destroyed by who got a chunk', async () => {
  let chunks = 0
  const { client, closed, end } = await pair(wire => {
    chunks++
    wire.destroy()
  })
  client.on('error', () => undefined)
  client.write(numbered(1_000_000))
  await alive(closed)
  assert.equal(chunks, 1)
  await end()
})

test('where a peer comes from is found out once, when somebody asks', async () => {
  for (const times of [0, 2]) {
    let asked = 0
    const where = (): Origin => {
      asked++
      return origin
    }
    const { client, closed, end } = await pair(wire => {
      for (let i = 0; i < times; i++) assert.equal(wire.origin, origin)
      wire.write([Uint8Array.of(1)])
      client.end()
    }, where)
    client.resume()
    client.write('a')
    await alive(closed)
    assert.equal(asked, Math.min(times, 1))
    await end()
  }
})

test('of a peer that goes unanswered it is found out before it has gone', async () => {
  let asked = 0
  const where = (): Origin => {
    asked++
    return origin
  }
  const { client, closed, end } = await pair(() => undefined, where)
  client.end()
  await alive(closed)
  assert.equal(asked, 1)
  await end()
})

test('small writes come as they were, also while the peer does not read', async () => {
  const written: number[] = []
  const { client, end } = await pair(wire => {
    for (let i = 0; i < 2000; i++) {
      const piece = new Uint8Array(1 + (i % 70)).fill(i % 251)
      written.push(...piece)
      wire.write([piece])
    }
    wire.write([new Uint8Array(10_000_000)])
    wire.write([Uint8Array.of(1, 2, 3)])
    wire.write([Uint8Array.of(4, 5, 6)])
  })
  const received: Buffer[] = []
  let byteCount = 0
  const expected = () => written.length + 10_000_006
  client.write('go')
  await new Promise<void>(resolve => {
    client.on('data', chunk => {
      received.push(chunk)
      byteCount += chunk.length
      if (byteCount === expected()) resolve()
    })
  })
  const bytes = Buffer.concat(received)
  assert.deepEqual([...bytes.subarray(0, written.length)], written)
  assert.deepEqual([...bytes.subarray(-6)], [1, 2, 3, 4, 5, 6])
  await end()
})
