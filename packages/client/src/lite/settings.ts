// The options of a lite client and their defaults. What is wrong with one shows when CONNECT is
// written, before anything is opened.

import { Limits } from '../limits.ts'
import type { ReconnectOptions } from '../options.ts'
import type { ConnectOptions, Platform } from './types.ts'

/** What every server takes: no longer, and digits and letters only. */
const RANDOM_ID_LENGTH = 23
const RADIX = 36

const Defaults = {
  cleanStart: true as boolean,
  sessionExpirySeconds: 0,
  keepAliveSeconds: 60,
  receiveMaximum: Limits.receiveMaximum as number,
  packetBytesMax: Limits.packetBytes as number,
  topicAliasMaximum: 0,
  connectTimeoutMs: 30_000,
  closeTimeoutMs: 5000,
  operationTimeoutMs: 30_000,
  unclaimedTimeoutMs: 30_000,
}

const ReconnectDefaults = {
  initialDelayMs: 1000,
  maxDelayMs: 60_000,
  stableAfterMs: 10_000,
  attemptsMax: Number.POSITIVE_INFINITY as number,
  first: false,
}

export type Settings = ConnectOptions & typeof Defaults
export type Reconnect = ReconnectOptions & typeof ReconnectDefaults

export function readSettings(options: ConnectOptions): Settings {
  return withDefaults(Defaults, options)
}

export function readReconnect({ reconnect }: ConnectOptions): Reconnect {
  return withDefaults(ReconnectDefaults, typeof reconnect === 'object' ? reconnect : {})
}

/** More than a hundred random bits. [MQTT-3.1.3-5] */
export function randomId(platform: Platform): string {
  const bytes = platform.randomBytes(RANDOM_ID_LENGTH)
  return Array.from(bytes, byte => (byte % RADIX).toString(RADIX)).join('')
}

/** What is undefined counts as missing. */
function withDefaults<D extends object, O extends object>(defaults: D, options: O): O & D {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...defaults, ...(Object.fromEntries(given) as O) }
}
