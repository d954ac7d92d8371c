// The client in Node: its clock, its chance, and what each kind of URL is dialled with.

import { randomBytes } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { setMaxListeners } from 'node:events'
import { describePacket } from '@godwit/packet'
import { shareSignalsWith } from '../abort.ts'
import { type Client, openClient } from '../client.ts'
import { invalidArgument } from '../errors.ts'
import { decodeWith } from '../message.ts'
import { nearestName } from '../nearest.ts'
import { checkOptions, checkWith, type OptionNames } from '../option-names.ts'
import { checkValues } from '../option-values.ts'
import type { ConnectOptions } from '../options.ts'
import { AllParts } from '../parts.ts'
import type { ConnectTarget } from '../target.ts'
import type { Dial, DialOptions, Platform, TlsOptions } from '../transport.ts'
import { openTcp, openTls, type TcpAddress } from './tcp.ts'
import { bufferText } from './text.ts'
import { openWebSocket } from './websocket.ts'

const PORT = 1883
const TLS_PORT = 8883

const TlsNames: OptionNames<TlsOptions> = {
  ca: 1,
  cert: 1,
  key: 1,
  passphrase: 1,
  alpn: 1,
  serverName: 1,
  ciphers: 1,
  minVersion: 1,
  maxVersion: 1,
  verify: 1,
}

checkWith(nearestName, checkValues)
// A page or a service ends a hundred subscriptions with one signal: that is no leak.
shareSignalsWith(signal => {
  if (signal instanceof AbortSignal) setMaxListeners(0, signal)
})
decodeWith(bufferText)

/** Node. */
export const NodePlatform: Platform = {
  // Whole numbers: each fraction in a field of a client would be an object of its own.
  nowMs: () => Math.floor(performance.now()),
  random: Math.random,
  randomBytes: length => randomBytes(length),
  atTurnEnd: task => void setImmediate(task),
  after: (delayMs, task) => setTimeout(task, delayMs),
  cancel: timer => clearTimeout(timer as NodeJS.Timeout),
  dial,
  adopt: AllParts.adoptStream,
  parts: () => AllParts,
  canPause: true,
  describe: describePacket,
  channels: {
    events: channel('godwit:client:event'),
    publish: channel('godwit:client:publish'),
    message: channel('godwit:client:message'),
  },
}

/**
 * Connects to a server and resolves when it has accepted.
 *
 *     await using client = await connect('mqtt://127.0.0.1:1883')
 *     await client.publish('hello', 'world', { qos: 1 })
 *
 * @param target `mqtt:`, `tcp:`, `mqtts:`, `ssl:`, `tls:`, `ws:`, `wss:`, `unix:` and a path; a
 *   stream that is open; or a function that gives one of these, called at each attempt
 * @throws MqttError, ConnectionRefusedError
 */
export function connect(target: ConnectTarget, options: ConnectOptions = {}): Promise<Client> {
  return openClient(NodePlatform, target, options)
}

function dial(url: URL, options: DialOptions): Dial {
  checkOptions('tls', options.tls, TlsNames)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  switch (url.protocol) {
    case 'mqtt:':
    case 'tcp:': {
      refuseTls(url, options.tls, 'use mqtts:')
      const { localAddress } = options
      const where = { host: needsHost(host, url), port: portOf(url, PORT) }
      return tcpDial(localAddress === '' ? where : { ...where, localAddress })
    }
    case 'mqtts:':
    case 'ssl:':
    case 'tls:': {
      const port = portOf(url, TLS_PORT)
      needsHost(host, url)
      return handler => openTls(host, port, options, handler)
    }
    case 'ws:':
      refuseTls(url, options.tls, 'use wss:')
      return handler => openWebSocket(url, options, handler)
    case 'wss:':
      return handler => openWebSocket(url, options, handler)
    case 'unix:':
    case 'mqtt+unix:':
      refuseTls(url, options.tls, 'give a stream of node:tls instead')
      return tcpDial({ path: pathOf(url) })
    default:
      throw invalidArgument(
        `no transport for ${url.protocol} URLs: expected mqtt://, mqtts://, ws://, wss:// or unix:`,
      )
  }
}

/** Who gives certificates wants no plain text. @throws MqttError `invalid-argument` */
function refuseTls({ protocol }: URL, tls: TlsOptions, instead: string): void {
  const names = Object.entries(tls).flatMap(([name, value]) => (value === undefined ? [] : name))
  if (names.length === 0) return
  const given = `tls: { ${names.join(', ')} }`
  throw invalidArgument(`${protocol} has no TLS, and there is ${given}: ${instead}`)
}

/** Keeps nothing but the address: thousands of clients may have one each. */
function tcpDial(where: TcpAddress): Dial {
  return handler => openTcp(where, handler)
}

function needsHost(host: string, url: URL): string {
  if (host === '') throw invalidArgument(`${url.protocol} needs a host`)
  return host
}

function pathOf({ pathname }: URL): string {
  if (pathname === '') throw invalidArgument('a unix: URL needs a path')
  try {
    return decodeURIComponent(pathname)
  } catch (cause) {
    throw invalidArgument(`a unix: URL with a path that cannot be decoded: ${pathname}`, cause)
  }
}

function portOf(url: URL, fallback: number): number {
  return url.port === '' ? fallback : Number(url.port)
}
