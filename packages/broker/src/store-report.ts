// What the store on disk tells about itself, for the metrics: a few numbers per batch, none per
// record.

import { Histogram, type HistogramReading } from './histogram.ts'

/** Numbers of the store on disk: counted since the start, or as they are now. */
export interface StoreReport {
  /** In the log and not in the database yet. */
  readonly logBytes: number
  /** Since when the oldest of them has been in the log; 0: there are none. */
  readonly lagSeconds: number
  readonly segments: {
    readonly current: number
    /** Prepared, nothing in them. */
    readonly ready: number
    /** Full; they wait for the database. */
    readonly retired: number
    /** Files that will be prepared again. */
    readonly free: number
  }
  readonly congested: boolean
  /** Of each batch: its records, its bytes in the log, from its begin until it was durable. */
  readonly commitRecords: HistogramReading
  readonly commitBytes: HistogramReading
  readonly commitSeconds: HistogramReading
  /** The part of that which the disk took to sync. */
  readonly syncSeconds: HistogramReading
  /** From the order to the database until it had everything. */
  readonly checkpointSeconds: HistogramReading
  readonly checkpointFailures: number
}

const SYNC_SECONDS = [
  0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
]
const CHECKPOINT_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const COMMIT_RECORDS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000]
const KIB = 1024
const MIB = 1024 * KIB
const COMMIT_BYTES = [
  ...[KIB / 4, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB],
  ...[MIB, 4 * MIB, 16 * MIB, 64 * MIB],
]

export class StoreMeter {
  readonly commitRecords: Histogram = new Histogram(COMMIT_RECORDS)
  readonly commitBytes: Histogram = new Histogram(COMMIT_BYTES)
  readonly commitSeconds: Histogram = new Histogram(SYNC_SECONDS)
  readonly syncSeconds: Histogram = new Histogram(SYNC_SECONDS)
  readonly checkpointSeconds: Histogram = new Histogram(CHECKPOINT_SECONDS)
  checkpointFailures = 0
  private commitBeganMs = 0
  private checkpointBeganMs = 0
  /** When the oldest record was written that the database does not have; 0: it has all. */
  private behindSinceMs = 0

  commitBegins(): void {
    this.commitBeganMs = performance.now()
  }

  committed(records: number, byteCount: number): void {
    const nowMs = performance.now()
    if (this.behindSinceMs === 0) this.behindSinceMs = nowMs
    this.commitRecords.observe(records)
    this.commitBytes.observe(byteCount)
    this.commitSeconds.observe((nowMs - this.commitBeganMs) / 1000)
  }

  checkpointBegins(): void {
    this.checkpointBeganMs = performance.now()
  }

  /** @param isBehind records came after it had begun */
  checkpointed(isBehind: boolean): void {
    this.checkpointSeconds.observe((performance.now() - this.checkpointBeganMs) / 1000)
    this.behindSinceMs = isBehind ? this.checkpointBeganMs : 0
  }

  get lagSeconds(): number {
    return this.behindSinceMs === 0 ? 0 : (performance.now() - this.behindSinceMs) / 1000
  }
}
