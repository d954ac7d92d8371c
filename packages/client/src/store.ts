// What a session store is: a small table of records by number that survives what the session must
// survive. It knows nothing of packets.

/** A record: what `put` was given last. Keys are whole numbers below 2 ** 48. */
export interface StoredRecord {
  readonly key: number
  readonly value: Uint8Array
}

/**
 * Keeps one session's records. Calls come from one client at a time.
 * `put` and `delete` may be kept in memory until `commit`.
 */
export interface SessionStore {
  /** Opens the store and reads all of it. Called once, before anything else. */
  open(): Promise<readonly StoredRecord[]>
  /** The bytes are not changed afterwards. */
  put(key: number, value: Uint8Array): void
  delete(key: number): void
  /**
   * Makes durable what was put and deleted before, then calls `done` once: before it returns, or
   * later. Nothing that depends on it is sent earlier.
   */
  commit(done: (error: Error | null) => void): void
  close(): Promise<void>
}

/** Records of a session: which kind and which packet identifier or place a key stands for. */
export const RecordKind = {
  /** A message to the server that is in flight, by packet identifier. */
  OUTGOING: 0x0_0000,
  /** A message of QoS 2 from the server that the application has, by packet identifier. */
  INCOMING: 0x1_0000,
  /** A message that waits to be sent, by its place in the line. */
  QUEUED: 0x2_0000,
} as const
