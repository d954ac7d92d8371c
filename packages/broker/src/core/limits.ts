// Every limit on what a peer can fill, with its default. Nothing a peer sends is unbounded.

/** Outputs of a turn that are kept for the next one. Not a limit that anybody needs to change. */
export const POOLED_OUTPUTS_MAX = 1024

/** An output that had more pieces in a turn gives their places back. */
export const KEPT_PIECES_MAX = 16_384

/** Clients that came a few times are counted in so many places of nine bytes at most. */
export const FLAPPING_PLACES_MAX = 65_536

/** Of a packet that is not whole: with more its connection may be ended for the sake of others. */
export const INCOMING_SHARE_BYTES = 16_384

/** Topics with more bytes have a few of the places of routes: in all they could take gigabytes. */
export const LONG_TOPIC_BYTES = 512
/** A power of two. */
export const LONG_ROUTES_MAX = 128

/** A reason string may quote what the peer sent; a longer one is left out. */
export const REASON_PACKET_BYTES_MAX = 1024

/** Of a longer topic or client id the loss ledger keeps the beginning, in UTF-16 units. */
export const LEDGER_TEXT_MAX = 256

/** How the queues of kept sessions are read from the store, in messages. */
export interface Paging {
  /** Of one session in memory that are not in flight; the others are on disk. */
  readonly inMemoryMax: number
  /** When its client returns. */
  readonly firstPage: number
  readonly page: number
  /** With no more than these in memory the next page is asked for. */
  readonly refillAt: number
  /** The oldest of a full queue, which are known in memory. */
  readonly oldest: number
}

export const DEFAULT_PAGING: Paging = {
  inMemoryMax: 1024,
  firstPage: 256,
  page: 512,
  refillAt: 256,
  oldest: 64,
}

/** What one turn, and one connection before the store has answered, may take of the process. */
export interface Shares {
  /** What publishers may make of one turn, in deliveries: about a tenth of a microsecond each. */
  readonly workPerTurn: number
  /** Topics that a group holds back are looked at in parts of so many per turn. */
  readonly heldLooks: number
  /** Members of groups that are looked at in one turn for one that takes a message. */
  readonly memberLooks: number
  /** Answers to one connection that wait for the store: a client with more is not read. */
  readonly heldAnswers: number
}

export const DEFAULT_SHARES: Shares = {
  workPerTurn: 200_000,
  heldLooks: 64,
  memberLooks: 100_000,
  heldAnswers: 65_536,
}

/** Full queues of sleeping sessions whose oldest messages are known in memory. */
export const SLEEPERS_LOOKED_INTO_MAX = 1000

/** What to do with a message for a session whose queue is full. */
export type FullQueuePolicy = 'drop-oldest' | 'refuse'

export interface Limits {
  /** Open connections, those before CONNECT included. */
  readonly connectionsMax: number
  /** Connections that are opened within a second; 0 is no limit. */
  readonly connectionsPerSecondMax: number
  /** Sessions, connected or not. */
  readonly sessionsMax: number
  /** Time from the opening of a connection to its CONNECT, and for each step of authentication. */
  readonly connectTimeoutMs: number
  /** A larger packet is refused by its header. MQTT 5.0 section 3.2.2.3.6. */
  readonly packetBytesMax: number
  /** The same before a connection has been let in. */
  readonly connectPacketBytesMax: number
  /** QoS 1 and 2 messages from one client that are not acknowledged yet. Section 3.2.2.3.3. */
  readonly receiveMaximum: number
  /** QoS 1 and 2 messages to one client that it has not acknowledged, if it asks for more. */
  readonly inflightMax: number
  /** Topic aliases from a client; Section 3.2.2.3.8. */
  readonly topicAliasMaximum: number
  /** Topic aliases towards a client that allows more. */
  readonly outgoingTopicAliasMax: number
  /** Bytes of topics that each client's aliases may stand for, and as many of those towards it. */
  readonly topicAliasBytesMax: number
  /** What the aliases of clients stand for beyond it, in all. */
  readonly topicAliasPoolBytesMax: number
  readonly topicLevelsMax: number
  readonly topicBytesMax: number
  readonly clientIdBytesMax: number
  /** Of a user name, which stays as long as its connection. */
  readonly usernameBytesMax: number
  readonly subscriptionsPerSessionMax: number
  readonly subscriptionsMax: number
  /** Different levels of all filters with wildcards: each takes some hundred bytes of memory. */
  readonly subscriptionLevelsMax: number
  /** Bytes of the filters of one session. */
  readonly filterBytesPerSessionMax: number
  /** Bytes of the filters of all sessions, connected or not. */
  readonly filterBytesMax: number
  readonly userPropertiesMax: number
  /** Messages that wait for one session, those in flight included. */
  readonly queuedMessagesMax: number
  readonly queuedBytesMax: number
  readonly fullQueue: FullQueuePolicy
  /** Bytes that wait in all queues together. Above it QoS 1 and 2 are refused with 0x97. */
  readonly totalQueuedBytesMax: number
  /** Bytes for one connection that the network has not taken; more QoS 0 is dropped. */
  readonly outgoingBytesMax: number
  /** The same for all connections together: above it each may hold 64 KiB only. */
  readonly totalOutgoingBytesMax: number
  /** Bytes of all packets that are not whole, and of CONNECT packets that are not answered. */
  readonly totalIncomingBytesMax: number
  readonly retainedMessagesMax: number
  readonly retainedBytesMax: number
  /** Different levels of all topics with retained messages, as `subscriptionLevelsMax`. */
  readonly retainedLevelsMax: number
  /** A longer session expiry interval is cut to this. Section 3.2.2.3.2. */
  readonly sessionExpirySecondsMax: number
  /** How long the session of a client before MQTT 5.0 without clean session is kept. */
  readonly legacySessionExpirySeconds: number
  /** A longer keep alive, or none, is replaced by this (0: never). Section 3.2.2.3.14. */
  readonly keepAliveSecondsMax: number
  readonly willDelaySecondsMax: number
  /** Bytes of the messages of all wills, of who is connected and of who is away. */
  readonly willBytesMax: number
  /** Messages per second from one client; 0 is no limit. Its connection is read more slowly. */
  readonly messagesPerSecondMax: number
  /** Bytes per second from one client; 0 is no limit. */
  readonly bytesPerSecondMax: number
  /** Connects of one client id within the window; one more and the client is named as flapping. */
  readonly flappingConnectsMax: number
  readonly flappingWindowSeconds: number
  /** How long a flapping client is refused with 0x9F; 0: it is named only. */
  readonly flappingBanSeconds: number
  /** Client ids whose connects are counted; the one seen longest ago makes room. */
  readonly flappingClientsMax: number
  /** Different clients and topics of the loss ledger per reason; more are counted as "others". */
  readonly ledgerEntriesMax: number
  /** Topics whose receivers are remembered; a power of two. */
  readonly routesMax: number
  /** Subscriptions that these topics match, in all: each takes some hundred bytes per topic. */
  readonly routeReceiversMax: number
  /** False: retained messages are refused with 0x9A. */
  readonly retainAvailable: boolean
  /** A greater QoS is refused with 0x9B. Section 3.2.2.3.4. */
  readonly maximumQoS: 0 | 1 | 2
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  connectionsMax: 1_000_000,
  connectionsPerSecondMax: 0,
  sessionsMax: 1_000_000,
  connectTimeoutMs: 10_000,
  packetBytesMax: 1024 * 1024,
  connectPacketBytesMax: 256 * 1024,
  receiveMaximum: 1024,
  inflightMax: 1024,
  topicAliasMaximum: 32,
  outgoingTopicAliasMax: 16,
  topicAliasBytesMax: 64 * 1024,
  topicAliasPoolBytesMax: 16 * 1024 * 1024,
  topicLevelsMax: 128,
  topicBytesMax: 65_535,
  clientIdBytesMax: 1024,
  usernameBytesMax: 4096,
  subscriptionsPerSessionMax: 10_000,
  subscriptionsMax: 5_000_000,
  subscriptionLevelsMax: 4_000_000,
  filterBytesPerSessionMax: 1024 * 1024,
  filterBytesMax: 512 * 1024 * 1024,
  userPropertiesMax: 128,
  queuedMessagesMax: 10_000,
  queuedBytesMax: 16 * 1024 * 1024,
  fullQueue: 'drop-oldest',
  totalQueuedBytesMax: 1024 * 1024 * 1024,
  outgoingBytesMax: 4 * 1024 * 1024,
  totalOutgoingBytesMax: 256 * 1024 * 1024,
  totalIncomingBytesMax: 256 * 1024 * 1024,
  retainedMessagesMax: 1_000_000,
  retainedBytesMax: 512 * 1024 * 1024,
  retainedLevelsMax: 4_000_000,
  sessionExpirySecondsMax: 0xffff_ffff,
  legacySessionExpirySeconds: 7 * 24 * 3600,
  keepAliveSecondsMax: 0,
  willDelaySecondsMax: 0xffff_ffff,
  willBytesMax: 256 * 1024 * 1024,
  messagesPerSecondMax: 0,
  bytesPerSecondMax: 0,
  flappingConnectsMax: 15,
  flappingWindowSeconds: 60,
  flappingBanSeconds: 0,
  flappingClientsMax: 10_000,
  ledgerEntriesMax: 1000,
  routesMax: 65_536,
  routeReceiversMax: 2_000_000,
  retainAvailable: true,
  maximumQoS: 2,
} satisfies Limits)
