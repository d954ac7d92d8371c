// Every bound of the client on what a peer, or a careless caller, can fill. Nothing else grows.

/** What an option may be: its default and its largest value. */
export const Limits = {
  /** The largest packet that is read, in bytes. The server is told (MQTT 5.0). */
  packetBytes: 1_048_576,
  /** QoS 1 and 2 messages from the server that wait for their acknowledgement. */
  receiveMaximum: 256,
  /** The same before MQTT 5.0, where nobody tells the server, if reading cannot be stopped. */
  unannouncedMessages: 4096,
  /** What a subscription holds unread of this and earlier connections, in receive maximums. */
  unreadWindows: 4,
  /** Bytes of acknowledgements that a server does not read before we read no more of it. */
  unreadBytes: 1_048_576,
  /** QoS 1 and 2 messages to the server in flight, unless it allows fewer. */
  inflightMax: 1024,
  /** Messages and bytes that wait for a connection or for room in the window. */
  queueMessages: 10_000,
  queueBytes: 16_777_216,
  /** Publishers that wait for room in the queue when it is full. */
  waitingMax: 65_535,
  /** QoS 0 messages and bytes that one subscription holds for its reader. */
  bufferMessages: 1000,
  bufferBytes: 4_194_304,
  /** Routes that are remembered by topic. */
  routes: 256,
  /** Topics whose encoded form is remembered, for all clients of a process. */
  encodedTopics: 1024,
  encodedTopicBytes: 256,
  /** Messages of a resumed session that nobody has asked for yet. */
  unclaimedMessages: 256,
  /** Events that wait for a reader of `events()`. */
  events: 64,
  /** Requests that wait for an answer, and answers to one that wait for their reader. */
  requests: 65_535,
  answers: 1000,
  /** Requests that one `respond` answers at the same time. */
  respondConcurrency: 16,
  /** Iterations of PBKDF2 that a server may ask of SCRAM. */
  scramIterations: 1_000_000,
  /** Steps of one enhanced authentication. */
  authenticationSteps: 16,
  /** Bytes of a session file before its history is cut out. */
  storeFileBytes: 1_048_576,
  /** Packets that a WebSocket frame or its header may take. */
  webSocketHeaderBytes: 16_384,
} as const

/** Bytes that the transport may hold before `publish` waits and `tryPublish` says no. */
export const HIGH_WATER_BYTES = 65_536

/** Bytes of one turn that are written at once instead of at its end. */
export const FLUSH_BYTES = 65_536

/** Writers that are kept for reuse, and how large one may be to be kept. */
export const SPARE_WRITERS_MAX = 16
export const SPARE_WRITER_BYTES_MAX = 262_144

/**
 * Small payloads that wait for their reader share blocks of memory. A message that is kept holds
 * its block until its payload is asked for, so a block is small: as large as Node's own pool of
 * small buffers, which a small Buffer pins in the same way.
 */
export const BLOCK_BYTES = 8192
export const BLOCK_PAYLOAD_BYTES_MAX = 256
