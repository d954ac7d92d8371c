// Which broker answers: its version from $SYS, where it has one. Who does not say it, is not asked
// twice.

import { lookup } from 'node:dns/promises'
import {
  Decoder,
  decodeUtf8,
  encodePacket,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  PacketType,
  type Properties,
  readServerPacket,
} from '@godwit/packet'
import { expectName } from '../network/names.ts'
import { dialer } from './dialer.ts'
import type { BrokerFacts } from './result.ts'
import type { ConnectionSettings } from './settings.ts'
import type { Target, Transport } from './transport.ts'

const VERSION_TOPIC = '$SYS/broker/version'
const WAIT_MS = 500
const VERSION_LENGTH_MAX = 100

export function urlOf({ kind, host, port, path }: Target): string {
  const scheme = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' }[kind]
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`
}

/** @returns the first host that nobody knows, or null: it would be asked for once per connection */
export async function unknownHost({ targets }: ConnectionSettings): Promise<string | null> {
  for (const host of new Set(targets.map(target => target.host))) {
    expectName(host)
    const code = await lookup(host).then(
      () => '',
      (error: NodeJS.ErrnoException) => error.code ?? '',
    )
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return host
  }
  return null
}

/** What CONNACK said, as it goes into a report. */
export function factsOf(
  settings: ConnectionSettings,
  connack: Properties,
  version: string | null,
): BrokerFacts {
  const limits: Record<string, number | string> = {}
  for (const [name, value] of Object.entries(connack)) {
    if (typeof value === 'number' || typeof value === 'string') limits[name] = value
  }
  return { target: settings.targets.map(urlOf).join(' '), version, limits }
}

/** Asks for the version; null when nobody answers in time. Never fails. */
export function askVersion(settings: ConnectionSettings): Promise<string | null> {
  return new Promise(resolve => {
    const decoder = new Decoder(PACKET_BYTES_MAX)
    const { level, username, password } = settings
    const finish = (version: string | null): void => {
      clearTimeout(timer)
      transport.destroy()
      resolve(version)
    }
    const timer = setTimeout(() => finish(null), WAIT_MS)
    const transport: Transport = dialer(settings).open(0, {
      opened: () => {
        const login = { clientId: `${settings.clientIdPrefix}version`, username, password }
        const rest = { cleanStart: true, keepAliveSeconds: 10, will: null, bridge: false }
        const type = PacketType.CONNECT
        const packet = { type, protocolLevel: level, properties: NO_PROPERTIES, ...login, ...rest }
        transport.write(encodePacket(packet, level), null)
      },
      received: (bytes, length) => {
        decoder.push(bytes.subarray(0, length))
        try {
          readVersion(decoder, level, finish, packet => transport.write(packet, null))
        } catch {
          // A broker that does not speak MQTT is found out by the run itself.
          finish(null)
        }
      },
      drained: () => undefined,
      closed: () => finish(null),
    })
  })
}

function readVersion(
  decoder: Decoder,
  level: ConnectionSettings['level'],
  finish: (version: string | null) => void,
  write: (bytes: Uint8Array) => void,
): void {
  while (decoder.next()) {
    const { first, bytes, bodyStart, end } = decoder
    const packet = readServerPacket(first, bytes, bodyStart, end, level)
    if (packet.type === PacketType.CONNACK && packet.reasonCode === 0) {
      const options = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
      const subscriptions = [{ filter: VERSION_TOPIC, qos: 0, ...options } as const]
      const subscribe = { packetId: 1, subscriptions, properties: NO_PROPERTIES }
      write(encodePacket({ type: PacketType.SUBSCRIBE, ...subscribe }, level))
    } else if (packet.type === PacketType.PUBLISH) {
      const text = decodeUtf8(packet.payload, 0, packet.payload.length)
      finish(text.slice(0, VERSION_LENGTH_MAX))
    } else if (packet.type !== PacketType.SUBACK) finish(null)
  }
}
