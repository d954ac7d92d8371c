// WebSocket and secure WebSocket in Node: the upgrade by node:http, the frames by our own reader.
// Node has no WebSocket of its own before version 22; `ws` would be a dependency of every client.

import { createHash, randomBytes } from 'node:crypto'
import { type ClientRequest, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Duplex } from 'node:stream'
import { Limits } from '../limits.ts'
import type { DialOptions, Transport, TransportHandler } from '../transport.ts'
import { explain, noWebSocket } from './explain.ts'
import { plainBytes } from './stream.ts'
import { tlsOptions } from './tcp.ts'
import { CloseStatus, encodeFrame, FrameError, FrameReader, Opcode } from './websocket-frames.ts'

/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const MASK_POOL_BYTES = 4096
const SUBPROTOCOL = 'mqtt'
/** Pongs that wait in the socket beyond this are not answered with more. */
const PONG_BACKLOG_BYTES = 65_536

let masks = new Uint8Array(0)
let masksUsed = 0

/** Opens a WebSocket; `url` is of `ws:` or `wss:`. */
export function openWebSocket(
  url: URL,
  options: DialOptions,
  handler: TransportHandler,
): Transport {
  return new NodeWebSocket(url, options, handler)
}

class NodeWebSocket implements Transport {
  readonly canPause = true
  private readonly handler: TransportHandler
  private readonly request: ClientRequest
  private readonly reader: FrameReader
  private socket: Duplex | null = null
  private failure: Error | null = null
  private closeSent = false
  private over = false

  constructor(url: URL, options: DialOptions, handler: TransportHandler) {
    this.handler = handler
    this.reader = new FrameReader({
      data: bytes => handler.received(bytes),
      control: (opcode, payload) => this.control(opcode, payload),
    })
    const key = randomBytes(16).toString('base64')
    this.request = startRequest(url, options, key)
    this.request.on('upgrade', (response, socket, head) => {
      const { 'sec-websocket-accept': accept, 'sec-websocket-protocol': protocol } =
        response.headers
      if (accept !== acceptOf(key)) {
        this.refuse(socket, 'the answer to the upgrade does not fit the request')
      } else if (protocol !== SUBPROTOCOL) {
        // [MQTT-6.0.0-3]
        this.refuse(socket, `the server chose the subprotocol ${protocol ?? 'none'}, not mqtt`)
      } else {
        this.open(socket, head)
      }
    })
    this.request.on('response', response => {
      response.destroy()
      const { statusCode = 0, headers } = response
      this.finish(noWebSocket(statusCode, url.pathname, headers.location))
    })
    const scheme = url.protocol === 'wss:' ? 'wss' : 'ws'
    const certified = scheme === 'wss' && options.tls.cert !== undefined
    this.request.on('error', error => this.finish(explain(error, scheme, certified)))
    this.request.end()
  }

  get bufferedBytes(): number {
    return this.socket === null ? 0 : this.socket.writableLength
  }

  write(bytes: Uint8Array): boolean {
    const { socket } = this
    if (socket !== null && !socket.destroyed && !this.closeSent) {
      socket.write(encodeFrame(Opcode.BINARY, bytes, nextMask())) // [MQTT-6.0.0-1]
    }
    return true
  }

  pause(): void {
    this.socket?.pause()
  }

  resume(): void {
    this.socket?.resume()
  }

  end(): void {
    const { socket } = this
    if (socket === null) {
      this.destroy()
      return
    }
    this.sendClose(CloseStatus.NORMAL)
    socket.resume()
  }

  destroy(): void {
    this.request.destroy()
    this.socket?.destroy()
    if (this.socket === null) queueMicrotask(() => this.finish(null))
  }

  private open(socket: Duplex, head: Uint8Array): void {
    this.socket = socket
    socket.on('data', (bytes: Uint8Array) => this.read(bytes))
    socket.on('drain', () => this.handler.drained())
    socket.on('error', error => {
      this.failure ??= error
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => this.finish(this.failure))
    this.handler.opened()
    if (head.length > 0) this.read(head)
  }

  private read(bytes: Uint8Array): void {
    try {
      this.reader.push(plainBytes(bytes))
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.failure ??= error
      this.reader.stopped = true
      this.sendClose(error.status)
      this.finishSocket()
    }
  }

  private control(opcode: number, payload: Uint8Array): void {
    const { socket } = this
    if (socket === null) return
    if (opcode === Opcode.PING) {
      if (this.closeSent || socket.writableLength > PONG_BACKLOG_BYTES) return
      socket.write(encodeFrame(Opcode.PONG, payload, nextMask()))
    } else if (opcode === Opcode.CLOSE) {
      this.sendClose(CloseStatus.NORMAL)
      this.finishSocket()
    }
  }

  private sendClose(status: number): void {
    if (this.closeSent || this.socket === null) return
    this.closeSent = true
    const payload = new Uint8Array([status >> 8, status & 0xff])
    this.socket.write(encodeFrame(Opcode.CLOSE, payload, nextMask()))
  }

  /** Sends what was written and closes, without waiting for a server that may never do so. */
  private finishSocket(): void {
    const { socket } = this
    socket?.end(() => socket.destroy())
  }

  private refuse(socket: Duplex, text: string): void {
    socket.destroy()
    this.finish(new Error(text))
  }

  private finish(error: Error | null): void {
    if (this.over) return
    this.over = true
    this.handler.closed(error)
  }
}

function startRequest(url: URL, options: DialOptions, key: string): ClientRequest {
  const secure = url.protocol === 'wss:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const { localAddress } = options
  const parts = {
    host,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    agent: false as const,
    maxHeaderSize: Limits.webSocketHeaderBytes,
    ...(localAddress !== '' && { localAddress }),
    headers: {
      ...options.headers,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': key,
      'sec-websocket-protocol': SUBPROTOCOL, // [MQTT-6.0.0-3]
    },
  }
  return secure ? requestHttps({ ...parts, ...tlsOptions(host, options.tls) }) : requestHttp(parts)
}

function acceptOf(key: string): string {
  return createHash('sha1').update(key).update(ACCEPT_SUFFIX).digest('base64')
}

/** Four fresh random bytes, taken from a pool. */
function nextMask(): Uint8Array {
  if (masksUsed === masks.length) {
    masks = randomBytes(MASK_POOL_BYTES)
    masksUsed = 0
  }
  masksUsed += 4
  return masks.subarray(masksUsed - 4, masksUsed)
}
