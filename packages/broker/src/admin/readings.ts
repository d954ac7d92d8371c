// What the metrics are made of: numbers as they are at one moment. Who asks the broker for them is
// readings-of.ts; nothing here names a client or a topic, so that there are never more of them.

import type { HistogramReading } from '../histogram.ts'
import type { StoreReport } from '../store-report.ts'

/** Of QoS 0, 1 and 2. */
export type ByQos = readonly [number, number, number]

/** What the core has counted, and what it holds. */
export interface CoreReadings {
  readonly connections: number
  readonly connectionsMax: number
  readonly connectionsOpened: number
  /** By the reason code's name, e.g. `not_authorized`. */
  readonly connectionsRefused: ReadonlyMap<string, number>
  readonly clientsConnected: number
  readonly clientsConnectedPeak: number
  readonly sessionsConnected: number
  readonly sessionsDisconnected: number
  readonly sessionsExpired: number
  readonly sessionTakeovers: number
  readonly protocolErrors: number
  readonly keepAliveTimeouts: number
  readonly authenticationFailures: number
  readonly packetsReceived: number
  readonly packetsSent: number
  readonly bytesReceived: number
  readonly bytesSent: number
  readonly messagesReceived: ByQos
  readonly messagesSent: ByQos
  readonly messageBytesReceived: number
  readonly messageBytesSent: number
  readonly messagesUnmatched: number
  /** By reason, every reason that there is. */
  readonly messagesLost: ReadonlyMap<string, number>
  readonly willsPublished: number
  readonly messagesInFlight: number
  readonly messagesQueued: number
  readonly queuedBytes: number
  /** Bytes for clients that the network has not taken. */
  readonly outgoingBytes: number
  readonly retainedMessages: number
  readonly retainedBytes: number
  readonly subscriptions: number
  readonly sharedGroups: number
  readonly storeFull: boolean
  readonly storeLow: boolean
  readonly storeFreeBytes: number | null
}

export interface ProcessReadings {
  readonly startedAtSeconds: number
  readonly userSeconds: number
  readonly systemSeconds: number
  readonly residentBytes: number
  readonly heapTotalBytes: number
  readonly heapUsedBytes: number
  readonly externalBytes: number
  readonly eventLoopBusySeconds: number
  readonly eventLoopDelaySeconds: HistogramReading
}

export interface Readings {
  readonly version: string
  readonly isReady: boolean
  /** Null: the store is not open yet. */
  readonly core: CoreReadings | null
  /** Null: there is no store on disk. */
  readonly store: StoreReport | null
  readonly process: ProcessReadings
}

/** Whether the broker can do all of its work; `reason` says why not. */
export interface Readiness {
  readonly reason: 'starting' | 'failed' | 'draining' | 'full' | null
  readonly space: 'enough' | 'low' | 'full'
}
