// The options of `pub` and `sub` that say where to connect and as whom: Mosquitto's letters, and
// the words of the Go programs that this project began with.

import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { type ConnectPacket, PacketType, type ProtocolLevel, type QoS } from '@godwit/packet'
import { type Command, Option } from 'commander'
import { CommandFailure } from './failure.ts'
import { parseAddress, parseCount, parsePort, parseSeconds } from './values.ts'

/** The exit code of Mosquitto's clients for options that cannot be. */
export const CLIENT_USAGE = 1

const DEFAULT_KEEP_ALIVE_SECONDS = 60
const DEFAULT_PORTS = { tcp: 1883, tls: 8883 } as const
const Levels: Readonly<Record<string, ProtocolLevel>> = {
  mqttv31: 3,
  '31': 3,
  '3': 3,
  mqttv311: 4,
  '311': 4,
  '4': 4,
  mqttv5: 5,
  '5': 5,
}

/** The options as they were typed. */
export interface ClientFlags {
  readonly host?: string
  readonly port?: string
  readonly unix?: string
  readonly id?: string
  readonly username?: string
  readonly user?: string
  readonly pw?: string
  readonly pass?: string
  readonly protocolVersion?: string
  readonly keepalive?: string
  readonly qos?: string
  readonly disableCleanSession?: boolean
  readonly sessionExpiryInterval?: string
  readonly cafile?: string
  readonly cert?: string
  readonly key?: string
  readonly insecure?: boolean
  readonly tls?: boolean
  readonly willTopic?: string
  readonly willPayload?: string
  readonly willQos?: string
  readonly willRetain?: boolean
  readonly debug?: boolean
  readonly dump?: boolean
  readonly quiet?: boolean
}

/** Adds the options to a command. `-h` is the host, as it is for Mosquitto. */
export function addClientOptions(command: Command): Command {
  return command
    .helpOption('--help', 'show this help')
    .option('-h, --host <host>', 'host, or host:port', 'localhost')
    .option('-p, --port <port>', 'port (1883, with TLS 8883)')
    .option('--unix <path>', 'connect to a Unix socket')
    .option('-i, --id <id>', 'client id (default: a random one)')
    .option('-u, --username <name>', 'user name')
    .addOption(new Option('--user <name>').hideHelp())
    .option('-P, --pw <password>', 'password')
    .addOption(new Option('--pass <password>').hideHelp())
    .option('-V, --protocol-version <version>', 'mqttv5, mqttv311 or mqttv31', 'mqttv5')
    .option('-k, --keepalive <seconds>', 'keep alive', String(DEFAULT_KEEP_ALIVE_SECONDS))
    .option('-q, --qos <qos>', 'quality of service: 0, 1 or 2', '0')
    .option('-c, --disable-clean-session', 'resume the session of this client id')
    .option('-x, --session-expiry-interval <seconds>', 'how long the session is kept (MQTT 5)')
    .option('--cafile <file>', 'TLS: certificates to trust')
    .option('--cert <file>', 'TLS: our certificate')
    .option('--key <file>', 'TLS: our key')
    .option('--insecure', 'TLS: do not check the name of the server')
    .option('--tls', 'TLS with the certificates that Node trusts')
    .option('--will-topic <topic>', 'will: topic')
    .option('--will-payload <text>', 'will: message')
    .option('--will-qos <qos>', 'will: quality of service', '0')
    .option('--will-retain', 'will: retained')
    .option('-d, --debug', 'one line per packet, to standard error')
    .option('--dump', 'the same')
    .option('--quiet', 'print no errors')
}

export function parseQos(option: string, text: string | undefined): QoS {
  const qos = Number(text ?? '0')
  if (qos === 0 || qos === 1 || qos === 2) return qos
  throw new CommandFailure(`${option} takes 0, 1 or 2, not ${JSON.stringify(text)}`, CLIENT_USAGE)
}

/** @throws CommandFailure */
export function connectPacketOf(flags: ClientFlags): ConnectPacket {
  const level = Levels[flags.protocolVersion ?? 'mqttv5']
  if (level === undefined) {
    const given = JSON.stringify(flags.protocolVersion)
    throw new CommandFailure(`-V takes mqttv5, mqttv311 or mqttv31, not ${given}`, CLIENT_USAGE)
  }
  const cleanStart = flags.disableCleanSession !== true
  if (!cleanStart && flags.id === undefined) {
    throw new CommandFailure('-c resumes a session: it needs a client id (-i)', CLIENT_USAGE)
  }
  const expiry = flags.sessionExpiryInterval
  const password = flags.pw ?? flags.pass
  return {
    type: PacketType.CONNECT,
    protocolLevel: level,
    cleanStart,
    keepAliveSeconds: parseSeconds('-k', flags.keepalive ?? '60'),
    clientId: flags.id ?? randomClientId(),
    will: willOf(flags),
    username: flags.username ?? flags.user ?? null,
    password: password === undefined ? null : new TextEncoder().encode(password),
    bridge: false,
    properties: expiry === undefined ? {} : { sessionExpiryInterval: parseCount('-x', expiry) },
  }
}

function willOf(flags: ClientFlags): ConnectPacket['will'] {
  const { willTopic, willPayload, willQos, willRetain } = flags
  if (willTopic === undefined) {
    if (willPayload === undefined && willRetain !== true) return null
    throw new CommandFailure('a will needs --will-topic', CLIENT_USAGE)
  }
  return {
    topic: willTopic,
    payload: new TextEncoder().encode(willPayload ?? ''),
    qos: parseQos('--will-qos', willQos),
    retain: willRetain === true,
    properties: {},
  }
}

function randomClientId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return `godwit-${Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')}`
}

/** Opens the network connection; it may not be connected yet. */
export function openStream(flags: ClientFlags): Duplex {
  if (flags.unix !== undefined) return connectTcp({ path: flags.unix })
  const address = parseAddress('-h', flags.host ?? 'localhost')
  const secure = flags.tls === true || flags.cafile !== undefined || flags.cert !== undefined
  const usual = secure ? DEFAULT_PORTS.tls : DEFAULT_PORTS.tcp
  const port = flags.port === undefined ? (address.port ?? usual) : parsePort('-p', flags.port)
  const host = address.host ?? 'localhost'
  if (!secure) return connectTcp({ host, port, noDelay: true })
  const { cafile, cert, key, insecure } = flags
  return connectTls({
    host,
    port,
    servername: host,
    ...(cafile === undefined ? {} : { ca: readFile('--cafile', cafile) }),
    ...(cert === undefined ? {} : { cert: readFile('--cert', cert) }),
    ...(key === undefined ? {} : { key: readFile('--key', key) }),
    ...(insecure === true ? { checkServerIdentity: () => undefined } : {}),
  })
}

function readFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new CommandFailure(`${option}: ${text}`, CLIENT_USAGE)
  }
}
