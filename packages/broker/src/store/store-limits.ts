// What the store on disk keeps in memory and in its log at most, and which choices of it can never
// work together.

/** What is kept in memory until the disk or the thread has it. */
export interface StoreLimits {
  /** The thread is told of the log in parts of about this size. */
  readonly followBytes: number
  /** Heap of the thread for what is not in the database yet. */
  readonly overlayBytesMax: number
  /** More than this waits for the disk: publishers are not read. */
  readonly openBatchBytesMax: number
  /** More than this is in the log and not in the database: publishers are not read. */
  readonly logBytesMax: number
}

export const DEFAULT_STORE_LIMITS: StoreLimits = {
  followBytes: 4 * 1024 * 1024,
  overlayBytesMax: 256 * 1024 * 1024,
  openBatchBytesMax: 16 * 1024 * 1024,
  logBytesMax: 512 * 1024 * 1024,
}

export const SEGMENT_BYTES: number = 16 * 1024 * 1024
export const CHECKPOINT_BYTES: number = 64 * 1024 * 1024

const BALLAST_BYTES_MIN = 1024 * 1024
const BALLAST_BYTES_MAX = 32 * 1024 * 1024

/**
 * Space that is kept for a full disk: what the database writes at once, of which there are a few
 * pages of each table and of its own log however little is checkpointed at a time.
 */
export function ballastBytesFor(checkpointBytes: number): number {
  return Math.max(BALLAST_BYTES_MIN, Math.min(checkpointBytes, BALLAST_BYTES_MAX))
}

interface Sizes {
  readonly checkpointBytes?: number
}

/** @returns which option can never work, and why; null: all of them can */
export function conflictOf(
  { checkpointBytes = CHECKPOINT_BYTES }: Sizes,
  { logBytesMax }: StoreLimits = DEFAULT_STORE_LIMITS,
): { readonly option: 'checkpointBytes'; readonly text: string } | null {
  if (checkpointBytes <= logBytesMax) return null
  const text =
    `${checkpointBytes} bytes are more than the log may hold, which is ${logBytesMax}: ` +
    'publishers would be stopped before the database takes over'
  return { option: 'checkpointBytes', text }
}
