// From what an embedder asks for to the listener that does it, on an address or on a server that
// was brought along.

import { Server as HttpServer } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import { type TLSSocket, Server as TlsServer } from 'node:tls'
import type { Origin } from './core/ports.ts'
import {
  type CertificateOptions,
  certificateOf,
  hasAuthority,
  readSecureContext,
} from './listeners/certificates.ts'
import {
  DEFAULT_BACKLOG,
  type Listener,
  type ListenerHost,
  originOf,
  tcpAddress,
} from './listeners/listener.ts'
import type { ProxyProtocolOptions } from './listeners/proxy-front.ts'
import { openSocket } from './listeners/socket-wire.ts'
import { listenTcp } from './listeners/tcp.ts'
import { listenTls } from './listeners/tls.ts'
import { listenUnix } from './listeners/unix.ts'
import { EVERY_PATH, listenWebSocket, serveUpgrades } from './listeners/websocket.ts'
import { check, checkNames, checkObject, OptionError, within } from './options.ts'

/** Where to listen. Without anything: MQTT on 127.0.0.1:1883. */
export interface ListenOptions {
  /** What it is called in events and logs. Default: `tcp`, `tls`, `ws`, `wss` or `unix`. */
  readonly name?: string
  /** Default: 127.0.0.1, which is this machine alone. */
  readonly host?: string
  /** Of an IPv6 address such as `::`, whether IPv4 is left out. Default: false. */
  readonly ipv6Only?: boolean
  /** 0 takes a free one. Default: 1883, TLS 8883, WebSocket 8083, both 8084. */
  readonly port?: number
  /** TLS, and who the clients have to be. */
  readonly tls?: CertificateOptions
  /** WebSocket instead of bare TCP. */
  readonly ws?: boolean | WebSocketChoice
  /** A Unix socket instead of a port. */
  readonly unix?: string | { readonly path: string; readonly mode?: number }
  /** Every connection begins with a PROXY header, version 1 or 2. */
  readonly proxyProtocol?: boolean | Partial<ProxyProtocolOptions>
  /** Connections that wait to be accepted. Default: 4096, as far as the system allows it. */
  readonly backlog?: number
  /** Connections of this listener. Default: as many as the broker takes. */
  readonly connectionsMax?: number
  /** A server of node:net, node:tls, node:http or node:https that others start and stop. */
  readonly server?: NetServer
}

/** Where metrics and health are asked for. Without anything: http://127.0.0.1:9883. */
export interface MetricsOptions {
  /** Default: 127.0.0.1, which is this machine alone. Nobody is asked for a password. */
  readonly host?: string
  /** 0 takes a free one. Default: 9883. */
  readonly port?: number
}

export interface WebSocketChoice {
  /** Default: `/mqtt`; `/` is always accepted too. `*` is every path. */
  readonly path?: string
  /** Web pages that may connect, e.g. `https://app.example`. Default: all. */
  readonly origins?: readonly string[]
}

const DEFAULT_HOST = '127.0.0.1'
const DEFAULT_METRICS_PORT = 9883
const DEFAULT_WEBSOCKET_PATH = '/mqtt'
const DefaultPorts = { tcp: 1883, tls: 8883, ws: 8083, wss: 8084 } as const
const PORT_MAX = 65_535
const BACKLOG_MAX = 2 ** 31 - 1
const MODE_MAX = 0o777

const LISTEN_NAMES: readonly (keyof ListenOptions)[] = [
  'name',
  'host',
  'ipv6Only',
  'port',
  'tls',
  'ws',
  'unix',
  'proxyProtocol',
  'backlog',
  'connectionsMax',
  'server',
]

const TLS_NAMES: readonly (keyof CertificateOptions)[] = [
  'certFile',
  'keyFile',
  'cert',
  'key',
  'passphrase',
  'caFile',
  'ca',
  'caDirectory',
  'crlFile',
  'crl',
  'clientCertificate',
  'minVersion',
  'ciphers',
]

/**
 * Starts to listen.
 * @throws OptionError, and the system's error when the address cannot be had
 */
export async function openListener(
  host: ListenerHost,
  options: ListenOptions,
  connectionsMax: number,
): Promise<Listener> {
  checkListen(options)
  if (options.server !== undefined) return attach(host, options, options.server)
  const backlog = options.backlog ?? DEFAULT_BACKLOG
  const most = options.connectionsMax ?? connectionsMax
  if (options.unix !== undefined) {
    const { path, mode } =
      typeof options.unix === 'string'
        ? { path: options.unix }
        : { mode: undefined, ...options.unix }
    const name = options.name ?? 'unix'
    const unix = { name, path, mode: mode ?? null, backlog, connectionsMax: most }
    return listenUnix(host, unix)
  }
  const secure = options.tls !== undefined
  const webSocket = options.ws !== undefined && options.ws !== false
  const transport = webSocket ? (secure ? 'wss' : 'ws') : secure ? 'tls' : 'tcp'
  const common = {
    name: options.name ?? transport,
    host: options.host ?? DEFAULT_HOST,
    ipv6Only: options.ipv6Only ?? false,
    port: options.port ?? DefaultPorts[transport],
    backlog,
    connectionsMax: most,
    proxyProtocol: proxyOf(options.proxyProtocol),
  }
  if (webSocket) {
    return listenWebSocket(host, { ...common, ...choiceOf(options.ws), tls: options.tls ?? null })
  }
  return options.tls === undefined
    ? listenTcp(host, common)
    : listenTls(host, { ...common, tls: options.tls })
}

/**
 * Checks options of `listenMetrics` without listening.
 * @throws OptionError
 */
export function checkMetrics(options: MetricsOptions): void {
  resolveMetrics(options)
}

/**
 * The options of `listenMetrics` with their defaults.
 * @throws OptionError
 */
export function resolveMetrics(options: MetricsOptions): Required<MetricsOptions> {
  checkNames('metrics', options, ['host', 'port'])
  const { host = DEFAULT_HOST, port = DEFAULT_METRICS_PORT } = options
  checkHost('metrics.host', host)
  return { host, port: within('metrics.port', port, 0, PORT_MAX) }
}

/**
 * Checks options without listening; certificates and keys are read.
 * @throws OptionError
 */
export function checkListen(options: ListenOptions): void {
  checkListenOptions(options)
  if (options.tls === undefined) return
  try {
    readSecureContext(options.tls)
  } catch (error) {
    throw new OptionError('listen.tls', error instanceof Error ? error.message : String(error))
  }
}

function checkHost(option: string, host: string): void {
  check(option, host, 'string')
  // Node takes it for every address there is, which nobody should open without saying so.
  if (host === '')
    throw new OptionError(option, 'expected an address, got ""; 0.0.0.0 is every one')
}

function checkListenOptions(options: ListenOptions): void {
  checkObject('listen', options)
  checkNames('listen', options, LISTEN_NAMES)
  const { port, backlog, connectionsMax, unix, tls, ws, server, proxyProtocol } = options
  if (options.name !== undefined) check('listen.name', options.name, 'string')
  if (options.host !== undefined) checkHost('listen.host', options.host)
  if (options.ipv6Only !== undefined) check('listen.ipv6Only', options.ipv6Only, 'boolean')
  if (port !== undefined) within('listen.port', port, 0, PORT_MAX)
  if (backlog !== undefined) within('listen.backlog', backlog, 1, BACKLOG_MAX)
  if (connectionsMax !== undefined) {
    within('listen.connectionsMax', connectionsMax, 1, Number.MAX_SAFE_INTEGER)
  }
  if (unix !== undefined && typeof unix !== 'string') checkUnix(unix)
  if (ws !== undefined && typeof ws !== 'boolean') checkWebSocket(ws)
  if (proxyProtocol !== undefined && typeof proxyProtocol !== 'boolean') {
    checkProxy(proxyProtocol)
  }
  if (unix !== undefined && (port !== undefined || tls !== undefined || ws !== undefined)) {
    throw new OptionError('listen.unix', 'a Unix socket has neither port nor TLS nor WebSocket')
  }
  if (tls !== undefined) checkCertificates(tls)
  if (server !== undefined && !(server instanceof NetServer)) {
    throw new OptionError('listen.server', 'expected a server of node:net, tls, http or https')
  }
}

function checkUnix(unix: { readonly path: string; readonly mode?: number }): void {
  checkObject('listen.unix', unix)
  checkNames('listen.unix', unix, ['path', 'mode'])
  check('listen.unix.path', unix.path, 'string')
  if (unix.mode !== undefined) within('listen.unix.mode', unix.mode, 0, MODE_MAX)
}

function checkWebSocket(ws: WebSocketChoice): void {
  checkObject('listen.ws', ws)
  checkNames('listen.ws', ws, ['path', 'origins'])
  const { path, origins } = ws
  const isPath = typeof path === 'string' && (path.startsWith('/') || path === EVERY_PATH)
  if (path !== undefined && !isPath) {
    const text = `expected a text that begins with /, or ${EVERY_PATH}, got ${path}`
    throw new OptionError('listen.ws.path', text)
  }
  // A text would let in whoever has a part of it.
  const isList = Array.isArray(origins) && origins.every(origin => typeof origin === 'string')
  if (origins !== undefined && !isList) {
    throw new OptionError('listen.ws.origins', 'expected a list of texts')
  }
}

function checkProxy(proxy: Partial<ProxyProtocolOptions>): void {
  checkObject('listen.proxyProtocol', proxy)
  checkNames('listen.proxyProtocol', proxy, ['trustCertificate'])
  if (proxy.trustCertificate !== undefined) {
    check('listen.proxyProtocol.trustCertificate', proxy.trustCertificate, 'boolean')
  }
}

function checkCertificates(tls: CertificateOptions): void {
  checkObject('listen.tls', tls)
  checkNames('listen.tls', tls, TLS_NAMES)
  if (tls.cert === undefined && tls.certFile === undefined) {
    throw new OptionError('listen.tls', 'a certificate is missing: give cert or certFile')
  }
  if (tls.key === undefined && tls.keyFile === undefined) {
    throw new OptionError('listen.tls', 'a private key is missing: give key or keyFile')
  }
  const wants = tls.clientCertificate ?? 'none'
  if (wants !== 'none' && !hasAuthority(tls)) {
    const text = 'certificates of clients are checked against ca, caFile or caDirectory: give one'
    throw new OptionError('listen.tls.clientCertificate', text)
  }
}

function proxyOf(choice: ListenOptions['proxyProtocol']): ProxyProtocolOptions | null {
  if (choice === undefined || choice === false) return null
  return { trustCertificate: choice !== true && choice.trustCertificate === true }
}

function choiceOf(ws: ListenOptions['ws']): {
  path: string
  origins: readonly string[] | null
} {
  const choice: WebSocketChoice = typeof ws === 'object' ? ws : {}
  return { path: choice.path ?? DEFAULT_WEBSOCKET_PATH, origins: choice.origins ?? null }
}

/** Serves a server that somebody else has made: it is neither started nor stopped here. */
async function attach(
  host: ListenerHost,
  options: ListenOptions,
  server: NetServer,
): Promise<Listener> {
  if (server instanceof HttpServer || server instanceof HttpsServer) {
    const secure = server instanceof HttpsServer
    const name = options.name ?? (secure ? 'wss' : 'ws')
    const choice = { name, ...choiceOf(options.ws ?? true) }
    const stop = await serveUpgrades(server, host, choice, socket =>
      attachedOrigin(socket, secure ? 'wss' : 'ws', name),
    )
    return attached(server, name, secure ? 'wss' : 'ws', choice.path, stop)
  }
  const secure = server instanceof TlsServer
  const transport = secure ? 'tls' : 'tcp'
  const name = options.name ?? transport
  const event = secure ? 'secureConnection' : 'connection'
  const accept = (socket: Socket): void => {
    openSocket(socket, attachedOrigin(socket, transport, name), host)
  }
  server.on(event, accept)
  return attached(server, name, transport, '', () => server.off(event, accept))
}

function attachedOrigin(socket: Socket, transport: Origin['transport'], name: string): Origin {
  const certificate = 'getPeerCertificate' in socket ? certificateOf(socket as TLSSocket) : null
  return originOf(socket, transport, name, certificate)
}

function attached(
  server: NetServer,
  name: string,
  transport: Origin['transport'],
  path: string,
  stop: () => void,
): Listener {
  const onPort = typeof (server.address() as AddressInfo | string | null) === 'object'
  const address =
    server.listening && onPort
      ? tcpAddress(server, name, transport, path)
      : { name, transport, host: '', port: 0, path, url: '' }
  return { address, reload: () => undefined, close: stop, destroy: () => undefined }
}
