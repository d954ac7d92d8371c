// How a connection begins and ends: where it is dialled, CONNECT, and DISCONNECT both ways.

import { encodeUtf8, NO_PROPERTIES, PacketType, type Will, writeConnect } from '@godwit/packet'
import { readMessageProperties } from '../message-properties.ts'
import type { Credentials } from '../options.ts'
import type { Dial } from '../transport.ts'
import { argumentError, bytesOf } from './arguments.ts'
import type { Connection } from './connection.ts'
import { failure } from './failure.ts'
import type { Settings } from './settings.ts'
import type { ConnectTo, Platform } from './types.ts'

const { CONNECT, DISCONNECT } = PacketType

/** What differs from one attempt to the next. */
interface AttemptParts extends Credentials {
  readonly clientId: string
  readonly cleanStart: boolean
}

/** @throws MqttError `invalid-argument` for what cannot be dialled */
export function dialOf(platform: Platform, to: ConnectTo): Dial {
  if (typeof to === 'object' && 'dial' in to) return to.dial
  let url: URL
  try {
    url = new URL(to)
  } catch (cause) {
    throw failure('invalid-argument', { cause })
  }
  return platform.dial(url)
}

/** @throws MqttError `invalid-argument`: the options hold what no packet can */
export function sendConnect(to: Connection, settings: Settings, parts: AttemptParts): void {
  const { username, password, clientId, cleanStart } = parts
  try {
    // A session that outlives the client needs a name.
    if (!(settings.cleanStart || settings.clientId)) throw failure('invalid-argument')
    writeConnect(to.out, {
      type: CONNECT,
      protocolLevel: to.level,
      cleanStart,
      keepAliveSeconds: settings.keepAliveSeconds,
      clientId,
      will: willOf(settings),
      username: username ?? null,
      password: typeof password === 'string' ? encodeUtf8(password) : (password ?? null),
      bridge: false,
      properties: {
        receiveMaximum: settings.receiveMaximum,
        maximumPacketSize: settings.packetBytesMax,
        sessionExpiryInterval: settings.sessionExpirySeconds,
        topicAliasMaximum: settings.topicAliasMaximum,
        ...(settings.userProperties && { userProperties: settings.userProperties }),
      },
    })
  } catch (cause) {
    throw argumentError(cause)
  }
}

/** @param reasonCode 0 before MQTT 5.0 */
export function sendDisconnect({ out }: Connection, reasonCode: number): void {
  out.uint8(DISCONNECT << 4)
  out.uint8(reasonCode > 0 ? 1 : 0)
  if (reasonCode > 0) out.uint8(reasonCode)
}

function willOf({ will }: Settings): Will | null {
  if (will === undefined) return null
  const { topic, payload = '', qos = 0, retain = false, delaySeconds } = will
  const own = readMessageProperties(will) ?? NO_PROPERTIES
  const properties = delaySeconds === undefined ? own : { ...own, willDelayInterval: delaySeconds }
  return { topic, payload: bytesOf(payload), qos, retain, properties }
}
