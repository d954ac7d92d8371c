// What a run is made of, after all options are read: plain data, so that other processes get it as
// it is. No behaviour.

import type { ConnectionOptions } from 'node:tls'
import type { ProtocolLevel, QoS } from '@godwit/packet'
import type { Arrivals } from './pacing.ts'
import type { PayloadPlan } from './payload-check.ts'
import type { Slo } from './slo.ts'
import type { Target } from './transport.ts'

export interface ConnectionSettings {
  /** Clients take them in turn. */
  readonly targets: readonly Target[]
  readonly level: ProtocolLevel
  readonly username: string | null
  readonly password: Uint8Array | null
  /** 0: the broker never expects a ping. */
  readonly keepAliveSeconds: number
  readonly tls: ConnectionOptions | null
  /** Where the certificates that are trusted come from; null: they are Node's. */
  readonly cafile: string | null
  readonly clientIdPrefix: string
  readonly startNumber: number
  /** Clients take them in turn; empty leaves it to the system. */
  readonly sourceAddresses: readonly string[]
  /** 0: no limit. */
  readonly connectsPerSecond: number
  readonly connectConcurrency: number
  readonly connectTimeoutMs: number
  readonly dump: boolean
}

export interface Storm {
  /** The part of the connections that is cut, above 0 and up to 1. */
  readonly share: number
  readonly everyUs: number
}

export interface OutputSettings {
  /** Files to write. */
  readonly json: string | null
  readonly csv: string | null
  readonly hdr: string | null
  readonly html: string | null
  /** The report as JSON to standard output instead of text. */
  readonly printJson: boolean
  readonly quiet: boolean
}

/** Common to all testers. */
export interface RunSettings {
  readonly connection: ConnectionSettings
  readonly processes: number
  readonly seed: number
  readonly slos: readonly Slo[]
  readonly abortOnSlo: boolean
  /** A saturated tester is an error. */
  readonly strict: boolean
  /** At QoS 0 lost messages are counted and are no error. */
  readonly allowLoss: boolean
  readonly trials: number
  readonly output: OutputSettings
  /** The options as they were typed, for the report. */
  readonly commandLine: string
}

export type Shape = 'one-to-one' | 'fan-out' | 'fan-in' | 'shared'

/** `bench ping` and `bench load`. */
export interface LoadSettings extends RunSettings {
  readonly kind: 'ping' | 'load'
  /** Of `load`. */
  readonly shape: Shape
  /** Of `ping`: pairs. */
  readonly publishers: number
  /** Of `ping`: the wildcard subscribers. */
  readonly subscribers: number
  readonly topic: string
  readonly qos: QoS
  readonly retain: boolean
  readonly payload: PayloadPlan
  /** Without header: messages are only counted. */
  readonly plain: boolean
  /** null: closed loop. */
  readonly arrivals: Arrivals | null
  /** Messages of a publisher that are under way in a closed loop. */
  readonly window: number
  readonly inflightMax: number
  /** Per publisher; 0: until the time is over. */
  readonly messages: number
  /** 0: until the messages are sent. */
  readonly durationMs: number
  readonly warmupMs: number
  /** How long nothing may arrive at the end until what is missing is lost. */
  readonly drainMs: number
  /** How long a closed loop waits for a message before it sends the next. */
  readonly timeoutMs: number
  /** Poll instead of sleeping between messages: exact times, a busy core. */
  readonly spin: boolean
  readonly storm: Storm | null
  /** Sessions outlive their connections, until the end of the run. */
  readonly keepsSession: boolean
  /** The first so many subscribers read slowly. */
  readonly slowSubscribers: number
  readonly slowBytesPerSecond: number
  /** Retained messages to publish first, all of which each subscriber then gets; 0: none. */
  readonly retainedMessages: number
}

/** `bench many`. */
export interface ManySettings extends RunSettings {
  readonly kind: 'many'
  /** 0: until something is exhausted. */
  readonly sessions: number
  /** A session publishes so often on average; 0: never. */
  readonly paceMs: number
  /** A fraction of the pace. */
  readonly paceJitter: number
  readonly topic: string
  /** Topic filters of each session; empty: none. */
  readonly subscribe: string
  readonly message: string
  readonly qos: QoS
  /** How long the sessions are held once they are there; 0: until interrupted. */
  readonly holdMs: number
  readonly storm: Storm | null
}
