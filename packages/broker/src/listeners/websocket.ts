// MQTT over WebSocket, plain or over TLS. MQTT 5.0 section 6.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { PacketType } from '@godwit/packet'
import type { WebSocket } from 'ws'
import type { Origin, Wire } from '../core/ports.ts'
import { type CertificateOptions, readSecureContext, tlsServerOptions } from './certificates.ts'
import type { Linger } from './linger.ts'
import {
  type BindOptions,
  type Listener,
  type ListenerHost,
  originOf,
  type Receiver,
  SocketOptions,
  startListening,
  stopListening,
  tcpAddress,
  watch,
} from './listener.ts'
import { ProxyFront, type ProxyProtocolOptions } from './proxy-front.ts'
import { frontOf, secureOrigin, watchHandshakes } from './tls.ts'

export interface WebSocketOptions extends BindOptions {
  readonly name: string
  /** Where clients connect to, beside `/`. */
  readonly path: string
  /** Web pages that may connect, e.g. `https://app.example`; null lets all in. */
  readonly origins: readonly string[] | null
  /** Null: without TLS. */
  readonly tls: CertificateOptions | null
  readonly proxyProtocol: ProxyProtocolOptions | null
}

/** As a path: wherever clients connect to. */
export const EVERY_PATH = '*'

/** In the order in which the server likes them. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1'] as const
const HTTP_HEADER_BYTES_MAX = 8192
const HEADERS_TOO_LARGE = 'HPE_HEADER_OVERFLOW'
/** Of Node's errors those that it answers otherwise than by 400. */
const StatusOf: ReadonlyMap<string, string> = new Map([
  [HEADERS_TOO_LARGE, '431 Request Header Fields Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
])
const HTTP_CHECK_INTERVAL_MS = 1000
const NORMAL_CLOSURE = 1000
const UNSUPPORTED_DATA = 1003

export async function listenWebSocket(
  host: ListenerHost,
  options: WebSocketOptions,
): Promise<Listener> {
  const { name, tls, path } = options
  const transport = tls === null ? 'ws' : 'wss'
  const proxy =
    options.proxyProtocol === null ? null : new ProxyFront(host, name, options.proxyProtocol)
  const http = createHttpServer(host, tls)
  const sockets = 'setSecureContext' in http ? watchHandshakes(http, name, host) : []
  await serveUpgrades(http, host, options, socket =>
    originOfUpgrade(socket, transport, name, proxy),
  )
  answerUnreadable(http, host, socket => originOfUpgrade(socket, transport, name, proxy))
  const front = proxy === null ? http : frontOf(http, proxy)
  watch(front, name, host, options)
  await startListening(front, options)
  return {
    address: tcpAddress(front, name, transport, path === EVERY_PATH ? '' : path),
    reload: () => {
      if (tls !== null && 'setSecureContext' in http) http.setSecureContext(readSecureContext(tls))
    },
    close: () => stopListening(front),
    destroy: () => {
      proxy?.destroy()
      http.closeAllConnections()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/**
 * Answers the upgrade requests of a server, one's own or one that was brought along.
 * @returns how to stop it
 */
export async function serveUpgrades(
  server: Server | SecureServer,
  host: ListenerHost,
  options: Pick<WebSocketOptions, 'name' | 'path' | 'origins'>,
  originOf: (socket: Socket) => Origin,
): Promise<() => void> {
  // Not before there is a listener for WebSockets: a start without one is a tenth shorter.
  const { WebSocketServer } = await import('ws')
  const upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: host.frameBytesMax,
    handleProtocols: protocols => SUBPROTOCOLS.find(name => protocols.has(name)) ?? false,
  })
  const onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    const socket = stream as Socket
    // Another one of a server that was brought along may be there for it.
    if (!isAt(request, options.path) && server.listenerCount('upgrade') > 1) return
    const refusal = judge(request, options)
    if (refusal !== null) {
      refuse(socket, refusal.status)
      host.refused(originOf(socket), refusal.text)
      return
    }
    upgrader.handleUpgrade(request, socket, head, webSocket => {
      openWebSocket(webSocket, socket, originOf(socket), host)
    })
  }
  server.on('upgrade', onUpgrade)
  return () => server.off('upgrade', onUpgrade)
}

function createHttpServer(
  host: ListenerHost,
  tls: CertificateOptions | null,
): Server | SecureServer {
  const limits = {
    ...SocketOptions,
    maxHeaderSize: HTTP_HEADER_BYTES_MAX,
    headersTimeout: host.handshakeTimeoutMs,
    requestTimeout: host.handshakeTimeoutMs,
    connectionsCheckingInterval: HTTP_CHECK_INTERVAL_MS,
  }
  if (tls === null) return createServer(limits, answerPlainRequest)
  const secure = tlsServerOptions(tls, host.handshakeTimeoutMs)
  return createSecureServer({ ...limits, ...secure }, answerPlainRequest)
}

function answerPlainRequest(_request: IncomingMessage, response: ServerResponse): void {
  const headers = { 'content-type': 'text/plain', connection: 'close', upgrade: 'websocket' }
  response.writeHead(426, headers)
  response.end('This is an MQTT broker: connect with a WebSocket and the subprotocol "mqtt".\n')
}

/** What is no HTTP gets what Node would answer, and a line in the log. */
function answerUnreadable(
  server: Server | SecureServer,
  host: ListenerHost,
  originOf: (socket: Socket) => Origin,
): void {
  server.on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, stream) => {
    const socket = stream as Socket
    const code = String(error.code)
    const first = error.rawPacket?.[0]
    if (first !== undefined) host.refused(originOf(socket), `${faultOf(code, first)}: ${code}`)
    const status = StatusOf.get(code) ?? '400 Bad Request'
    if (socket.writable) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
    socket.destroy()
  })
}

function faultOf(code: string, first: number): string {
  if (code === HEADERS_TOO_LARGE) return 'the headers of an HTTP request are too large'
  const isConnect = first >> 4 === PacketType.CONNECT
  return `what came is not HTTP${isConnect ? ', it looks like MQTT without WebSocket' : ''}`
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? ''
}

function isAt(request: IncomingMessage, path: string): boolean {
  const asked = pathOf(request)
  return asked === path || asked === '/' || path === EVERY_PATH
}

/** @returns null when the request may become a connection */
function judge(
  request: IncomingMessage,
  options: Pick<WebSocketOptions, 'path' | 'origins'>,
): { status: string; text: string } | null {
  if (!isAt(request, options.path)) {
    return { status: '404 Not Found', text: `nothing is at ${pathOf(request)}` }
  }
  const { origin } = request.headers
  if (options.origins !== null && origin !== undefined && !options.origins.includes(origin)) {
    return { status: '403 Forbidden', text: `web pages of ${origin} may not connect` }
  }
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',')
  const known = offered.some(name => SUBPROTOCOLS.some(own => own === name.trim()))
  // [MQTT-6.0.0-3] [MQTT-6.0.0-4] [MQTT-6.0.0-3 v3] [MQTT-6.0.0-4 v3]
  return known
    ? null
    : { status: '400 Bad Request', text: 'the subprotocol is neither mqtt nor mqttv3.1' }
}

function refuse(socket: Socket, status: string): void {
  socket.on('error', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  socket.destroySoon()
}

function originOfUpgrade(
  socket: Socket,
  transport: 'ws' | 'wss',
  name: string,
  proxy: ProxyFront | null,
): Origin {
  if ('getPeerCertificate' in socket) {
    return secureOrigin(socket as TLSSocket, transport, name, proxy)
  }
  return proxy === null
    ? originOf(socket, transport, name, null)
    : proxy.originFor(socket, transport, null)
}

function openWebSocket(
  webSocket: WebSocket,
  socket: Socket,
  origin: Origin,
  host: ListenerHost,
): void {
  const wire = new WebSocketWire(webSocket, socket, origin, host.linger)
  let cause = 'the WebSocket was closed'
  webSocket.on('error', error => {
    cause = error.message
  })
  const receiver = host.open(wire)
  webSocket.on('close', () => {
    host.linger.delete(wire)
    receiver.closed(cause)
  })
  socket.on('drain', () => {
    if (wire.takeDrained()) receiver.drained()
  })
  wire.flushed = () => {
    if (wire.takeDrained()) receiver.drained()
  }
  const collecting = new Collecting(webSocket, socket, receiver)
  // Packets need not align with frames [MQTT-6.0.0-2]: their bytes are a stream like any other.
  let isBroken = false
  webSocket.on('message', (data, isBinary) => {
    // What is behind such a frame, and may have come with it, is not read any more.
    if (isBroken) return
    if (!isBinary) {
      cause = 'a WebSocket frame was not binary'
      isBroken = true
      webSocket.close(UNSUPPORTED_DATA) // [MQTT-6.0.0-1]
      host.linger.add(wire)
      return
    }
    collecting.whole((data as Buffer).length)
    receiver.bytes(data as Buffer)
  })
}

/**
 * Tells how much there is of a message that is not whole: `ws` keeps it, and nothing of it counts
 * as come before its end.
 */
class Collecting {
  private readonly webSocket: WebSocket
  private readonly receiver: Receiver
  private byteCount = 0
  /** Of what has just come, those that are needed no longer. */
  private takenBytes = 0
  /** What has just come had the end of a message. */
  private isWhole = false
  private told = 0

  constructor(webSocket: WebSocket, socket: Socket, receiver: Receiver) {
    this.webSocket = webSocket
    this.receiver = receiver
    const onControl = (data: Buffer): void => this.took(data.length)
    webSocket.on('ping', onControl)
    webSocket.on('pong', onControl)
    // After `ws`, which has taken out what is whole.
    socket.on('data', chunk => this.came(chunk.length))
  }

  /** A message is handed on: it must not count twice. */
  whole(byteCount: number): void {
    this.took(byteCount)
    this.isWhole = true
    if (this.told > 0) this.tell(0)
  }

  private took(payloadBytes: number): void {
    this.takenBytes += headerBytes(payloadBytes) + payloadBytes
  }

  private came(chunkBytes: number): void {
    const { webSocket } = this
    // What comes after its end is kept by nobody.
    const kept = webSocket.readyState === webSocket.OPEN ? this.byteCount + chunkBytes : 0
    const left = Math.max(0, kept - this.takenBytes)
    // The headers of fragments are not seen: they must not add up.
    this.byteCount = this.isWhole ? Math.min(left, chunkBytes) : left
    this.takenBytes = 0
    this.isWhole = false
    if (this.byteCount !== this.told) this.tell(this.byteCount)
  }

  private tell(byteCount: number): void {
    this.told = byteCount
    this.receiver.collected(byteCount)
  }
}

/** Of a client's frame, which has a mask. RFC 6455 section 5.2. */
function headerBytes(payloadBytes: number): number {
  if (payloadBytes < 126) return 6
  return payloadBytes < 65_536 ? 8 : 14
}

class WebSocketWire implements Wire {
  readonly origin: Origin
  flushed: () => void = () => undefined
  private readonly webSocket: WebSocket
  private readonly socket: Socket
  private readonly linger: Linger
  private waits = false
  private ended = false

  constructor(webSocket: WebSocket, socket: Socket, origin: Origin, linger: Linger) {
    this.webSocket = webSocket
    this.socket = socket
    this.origin = origin
    this.linger = linger
  }

  write(pieces: readonly Uint8Array[]): void {
    const { webSocket, socket } = this
    if (this.ended || webSocket.readyState !== webSocket.OPEN) return
    socket.cork()
    for (const piece of pieces) webSocket.send(piece)
    socket.uncork()
    if (webSocket.bufferedAmount === 0) return
    if (!this.waits && !socket.writableNeedDrain) socket.write('', () => this.flushed())
    this.waits = true
  }

  pendingBytes(): number {
    return this.webSocket.bufferedAmount
  }

  /** True once after bytes waited and are gone. */
  takeDrained(): boolean {
    if (!this.waits || this.webSocket.bufferedAmount > 0) return false
    this.waits = false
    return true
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    this.webSocket.resume()
    this.webSocket.close(NORMAL_CLOSURE)
    this.linger.add(this)
  }

  destroy(): void {
    this.ended = true
    this.webSocket.terminate()
  }

  pauseReading(): void {
    this.webSocket.pause()
  }

  resumeReading(): void {
    this.webSocket.resume()
  }
}
