// Every metric that there is: its name, what it means, and where its value comes from. A table and
// no code, since docs/broker.md has the same rows and a test compares the two.

import type { HistogramReading } from '../histogram.ts'
import type { StoreReport } from '../store-report.ts'
import type { CoreReadings, ProcessReadings, Readings } from './readings.ts'

interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Metric {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  /** Null: there is no such value now, and the metric is left out. */
  readonly value: Value
}

export type Value =
  | { readonly type: 'counter' | 'gauge'; read(from: Readings): readonly Sample[] | null }
  | { readonly type: 'histogram'; read(from: Readings): HistogramReading | null }

type Read<From> = (from: From) => number | boolean | null

const NO_LABELS: readonly string[] = []
const QOS = ['0', '1', '2'] as const

/** All metrics, in the order in which they are served. */
export const METRICS: readonly Metric[] = [
  {
    name: 'godwit_build_info',
    help: 'Always 1; the labels say which version runs.',
    labels: ['version', 'node_version'],
    value: {
      type: 'gauge',
      read: ({ version }) => [
        { labels: { version, node_version: process.versions.node }, value: 1 },
      ],
    },
  },
  gauge('godwit_ready', '1: /readyz says 200.', from => from.isReady),
  ...connectionMetrics(),
  ...sessionMetrics(),
  ...trafficMetrics(),
  ...stateMetrics(),
  ...spaceMetrics(),
  ...logMetrics(),
  ...processMetrics(),
]

function connectionMetrics(): Metric[] {
  return [
    gauge(
      'godwit_connections',
      'Open network connections, those before CONNECT included.',
      core(from => from.connections),
    ),
    gauge(
      'godwit_connections_limit',
      'How many may be open: connectionsMax.',
      core(from => from.connectionsMax),
    ),
    counter(
      'godwit_connections_opened_total',
      'Network connections that were opened.',
      core(from => from.connectionsOpened),
    ),
    labelled(
      'godwit_connections_refused_total',
      'Connections that were not let in, by reason code.',
      'reason',
      core(from => from.connectionsRefused),
    ),
    gauge(
      'godwit_clients_connected',
      'Clients that were let in.',
      core(from => from.clientsConnected),
    ),
    gauge(
      'godwit_clients_connected_peak',
      'The most that there were at a time.',
      core(from => from.clientsConnectedPeak),
    ),
  ]
}

function sessionMetrics(): Metric[] {
  return [
    labelled(
      'godwit_sessions',
      'Sessions by state; those that are disconnected are kept for their expiry interval.',
      'state',
      core(from => sessionsByState(from)),
      'gauge',
    ),
    counter(
      'godwit_sessions_expired_total',
      'Sessions whose expiry interval has run out.',
      core(from => from.sessionsExpired),
    ),
    counter(
      'godwit_session_takeovers_total',
      'Sessions that another connection of the same client took over.',
      core(from => from.sessionTakeovers),
    ),
    counter(
      'godwit_protocol_errors_total',
      'Connections that sent what they must not send.',
      core(from => from.protocolErrors),
    ),
    counter(
      'godwit_keep_alive_timeouts_total',
      'Connections that said nothing for too long.',
      core(from => from.keepAliveTimeouts),
    ),
    counter(
      'godwit_authentication_failures_total',
      'Clients that authentication turned away.',
      core(from => from.authenticationFailures),
    ),
  ]
}

function trafficMetrics(): Metric[] {
  return [
    counter(
      'godwit_packets_received_total',
      'MQTT packets from clients.',
      core(from => from.packetsReceived),
    ),
    counter(
      'godwit_packets_sent_total',
      'MQTT packets to clients.',
      core(from => from.packetsSent),
    ),
    counter(
      'godwit_received_bytes_total',
      'Bytes from clients, without TLS and WebSocket.',
      core(from => from.bytesReceived),
    ),
    counter(
      'godwit_sent_bytes_total',
      'Bytes to clients, without TLS and WebSocket.',
      core(from => from.bytesSent),
    ),
    labelled(
      'godwit_messages_received_total',
      'PUBLISH packets from clients.',
      'qos',
      core(from => byQos(from.messagesReceived)),
    ),
    labelled(
      'godwit_messages_sent_total',
      'PUBLISH packets to clients, at the QoS that they were sent with.',
      'qos',
      core(from => byQos(from.messagesSent)),
    ),
    counter(
      'godwit_message_received_bytes_total',
      'Bytes of PUBLISH packets from clients.',
      core(from => from.messageBytesReceived),
    ),
    counter(
      'godwit_message_sent_bytes_total',
      'Bytes of PUBLISH packets to clients.',
      core(from => from.messageBytesSent),
    ),
    counter(
      'godwit_messages_unmatched_total',
      'Messages that nobody had subscribed to.',
      core(from => from.messagesUnmatched),
    ),
    labelled(
      'godwit_messages_lost_total',
      'Messages that were lost: the loss ledger.',
      'reason',
      core(from => from.messagesLost),
    ),
    counter(
      'godwit_wills_published_total',
      'Wills that were published.',
      core(from => from.willsPublished),
    ),
  ]
}

function stateMetrics(): Metric[] {
  return [
    gauge(
      'godwit_messages_in_flight',
      'QoS 1 and 2 messages to connected clients that are not acknowledged.',
      core(from => from.messagesInFlight),
    ),
    gauge(
      'godwit_messages_queued',
      'Messages in the queues of all sessions and groups, those in flight included.',
      core(from => from.messagesQueued),
    ),
    gauge(
      'godwit_queued_bytes',
      'Their bytes.',
      core(from => from.queuedBytes),
    ),
    gauge(
      'godwit_outgoing_bytes',
      'Bytes for clients that the network has not taken.',
      core(from => from.outgoingBytes),
    ),
    gauge(
      'godwit_retained_messages',
      'Retained messages.',
      core(from => from.retainedMessages),
    ),
    gauge(
      'godwit_retained_bytes',
      'Their bytes.',
      core(from => from.retainedBytes),
    ),
    gauge(
      'godwit_subscriptions',
      'Subscriptions.',
      core(from => from.subscriptions),
    ),
    gauge(
      'godwit_shared_groups',
      'Groups of shared subscriptions.',
      core(from => from.sharedGroups),
    ),
  ]
}

function spaceMetrics(): Metric[] {
  return [
    gauge(
      'godwit_store_full',
      '1: the disk is full, nothing that grows is taken.',
      core(from => from.storeFull),
    ),
    gauge(
      'godwit_store_low_space',
      '1: the disk has little space left; everything is taken still.',
      core(from => from.storeLow),
    ),
    gauge(
      'godwit_store_free_bytes',
      'What the disk of the store has left.',
      core(from => from.storeFreeBytes),
    ),
    gauge(
      'godwit_store_congested',
      '1: too much waits for the disk, publishers are not read.',
      store(from => from.congested),
    ),
  ]
}

function logMetrics(): Metric[] {
  return [
    gauge(
      'godwit_store_log_bytes',
      'What is in the log and not in the database.',
      store(from => from.logBytes),
    ),
    labelled(
      'godwit_store_segments',
      'Files of the log: in use, prepared, waiting for the database, to be used again.',
      'state',
      from => (from.store === null ? null : new Map(Object.entries(from.store.segments))),
      'gauge',
    ),
    histogram(
      'godwit_store_commit_records',
      'Records of a batch; the count is that of batches.',
      from => from.store?.commitRecords ?? null,
    ),
    histogram(
      'godwit_store_commit_bytes',
      'Bytes of a batch in the log.',
      from => from.store?.commitBytes ?? null,
    ),
    histogram(
      'godwit_store_commit_seconds',
      'From the begin of a commit until its batch was durable.',
      from => from.store?.commitSeconds ?? null,
    ),
    histogram(
      'godwit_store_fsync_seconds',
      'How long the disk took to sync a batch.',
      from => from.store?.syncSeconds ?? null,
    ),
    histogram(
      'godwit_store_checkpoint_seconds',
      'How long the database took to take over the log.',
      from => from.store?.checkpointSeconds ?? null,
    ),
    counter(
      'godwit_store_checkpoint_failures_total',
      'Times that the database found no room.',
      store(from => from.checkpointFailures),
    ),
    gauge(
      'godwit_store_checkpoint_lag_seconds',
      'Since when the oldest record has been in the log alone; 0: the database has all.',
      store(from => from.lagSeconds),
    ),
  ]
}

function processMetrics(): Metric[] {
  return [
    histogram(
      'godwit_event_loop_delay_seconds',
      'How late a timer of 20 ms came: what held the event loop.',
      from => from.process.eventLoopDelaySeconds,
    ),
    counter(
      'godwit_event_loop_busy_seconds_total',
      'Time in which the event loop did not wait.',
      ofProcess(from => from.eventLoopBusySeconds),
    ),
    gauge(
      'process_start_time_seconds',
      'When the process began, in seconds since 1970.',
      ofProcess(from => from.startedAtSeconds),
    ),
    counter(
      'process_cpu_user_seconds_total',
      'Time of the processor in user space.',
      ofProcess(from => from.userSeconds),
    ),
    counter(
      'process_cpu_system_seconds_total',
      'Time of the processor in the system.',
      ofProcess(from => from.systemSeconds),
    ),
    counter(
      'process_cpu_seconds_total',
      'Both.',
      ofProcess(from => from.userSeconds + from.systemSeconds),
    ),
    gauge(
      'process_resident_memory_bytes',
      'Memory of the process.',
      ofProcess(from => from.residentBytes),
    ),
    gauge(
      'nodejs_heap_size_total_bytes',
      'Heap of JavaScript.',
      ofProcess(from => from.heapTotalBytes),
    ),
    gauge(
      'nodejs_heap_size_used_bytes',
      'What of it is used.',
      ofProcess(from => from.heapUsedBytes),
    ),
    gauge(
      'nodejs_external_memory_bytes',
      'Memory of JavaScript outside of its heap.',
      ofProcess(from => from.externalBytes),
    ),
  ]
}

function core<T>(read: (from: CoreReadings) => T): (from: Readings) => T | null {
  return from => (from.core === null ? null : read(from.core))
}

function store<T>(read: (from: StoreReport) => T): (from: Readings) => T | null {
  return from => (from.store === null ? null : read(from.store))
}

function ofProcess<T>(read: (from: ProcessReadings) => T): (from: Readings) => T {
  return from => read(from.process)
}

function gauge(name: string, help: string, read: Read<Readings>): Metric {
  return single('gauge', name, help, read)
}

function counter(name: string, help: string, read: Read<Readings>): Metric {
  return single('counter', name, help, read)
}

function single(
  type: 'gauge' | 'counter',
  name: string,
  help: string,
  read: Read<Readings>,
): Metric {
  const samples = (from: Readings): readonly Sample[] | null => {
    const value = read(from)
    return value === null ? null : [{ labels: {}, value: Number(value) }]
  }
  return { name, help, labels: NO_LABELS, value: { type, read: samples } }
}

/** One value per value of a label. */
function labelled(
  name: string,
  help: string,
  label: string,
  read: (from: Readings) => ReadonlyMap<string, number> | null,
  type: 'gauge' | 'counter' = 'counter',
): Metric {
  const samples = (from: Readings): readonly Sample[] | null => {
    const values = read(from)
    if (values === null) return null
    return [...values].map(([name, value]) => ({ labels: { [label]: name }, value }))
  }
  return { name, help, labels: [label], value: { type, read: samples } }
}

function histogram(
  name: string,
  help: string,
  read: (from: Readings) => HistogramReading | null,
): Metric {
  return { name, help, labels: NO_LABELS, value: { type: 'histogram', read } }
}

function sessionsByState(from: CoreReadings): ReadonlyMap<string, number> {
  return new Map([
    ['connected', from.sessionsConnected],
    ['disconnected', from.sessionsDisconnected],
  ])
}

function byQos(counts: readonly [number, number, number]): ReadonlyMap<string, number> {
  return new Map(QOS.map((qos, index) => [qos, counts[index] ?? 0]))
}
