// Watches how much room the disk has left: asked at each new segment of the log and from time to
// time, so that somebody hears of it before the disk is full.

import { textOf } from './errors.ts'
import type { DiskSpace, FileSystem } from './file-system.ts'

/** Bytes, or a share of the file system: '5%'. */
export type SpaceThreshold = number | `${number}%`

const CHECK_MS = 10_000
const DEFAULT_SHARE = 0.05
const DEFAULT_BYTES_MAX = 1024 * 1024 * 1024
/** It is enough again with so much more: at the threshold nobody wants to hear it every minute. */
const ENOUGH_FACTOR = 1.1
const SHARE_PATTERN = /^(\d+(?:\.\d+)?)%$/

export interface SpaceEvents {
  changed(low: boolean, freeBytes: number, thresholdBytes: number): void
  /** The system does not say; told once. */
  unknown(text: string): void
}

/** @returns the share, or null when it is none between 0 and 100 % */
export function shareOf(text: string): number | null {
  const percent = Number(SHARE_PATTERN.exec(text)?.[1] ?? Number.NaN)
  return percent >= 0 && percent <= 100 ? percent / 100 : null
}

export class SpaceWatch {
  low = false
  /** Null: not known. */
  freeBytes: number | null = null
  private readonly fileSystem: FileSystem
  private readonly directory: string
  private readonly threshold: SpaceThreshold | null
  private readonly events: SpaceEvents
  private asking: Promise<void> | null = null
  private isUnknown = false
  private cancelTimer: (() => void) | null = null
  private ended = false

  /** @param threshold null: 5 % of the file system, at most 1 GiB */
  constructor(
    fileSystem: FileSystem,
    directory: string,
    threshold: SpaceThreshold | null,
    events: SpaceEvents,
  ) {
    this.fileSystem = fileSystem
    this.directory = directory
    this.threshold = threshold
    this.events = events
  }

  /** Asks now, and again and again until `end`. */
  async begin(): Promise<void> {
    await this.check()
    this.later()
  }

  /** Asks, if no question is open. */
  check(): Promise<void> {
    this.asking ??= this.ask().finally(() => {
      this.asking = null
    })
    return this.asking
  }

  end(): void {
    this.ended = true
    this.cancelTimer?.()
    this.cancelTimer = null
  }

  private later(): void {
    if (this.ended) return
    this.cancelTimer = this.fileSystem.after(CHECK_MS, () => {
      this.check().then(() => this.later())
    })
  }

  private async ask(): Promise<void> {
    let space: DiskSpace
    try {
      space = await this.fileSystem.space(this.directory)
    } catch (error) {
      this.freeBytes = null
      if (!(this.isUnknown || this.ended)) this.events.unknown(textOf(error))
      this.isUnknown = true
      return
    }
    this.isUnknown = false
    this.freeBytes = space.freeBytes
    const thresholdBytes = this.thresholdOf(space)
    const limit = this.low ? thresholdBytes * ENOUGH_FACTOR : thresholdBytes
    const low = space.freeBytes < limit
    if (low === this.low || this.ended) return
    this.low = low
    this.events.changed(low, space.freeBytes, thresholdBytes)
  }

  private thresholdOf({ totalBytes }: DiskSpace): number {
    const { threshold } = this
    if (threshold === null) return Math.min(totalBytes * DEFAULT_SHARE, DEFAULT_BYTES_MAX)
    if (typeof threshold === 'number') return threshold
    return totalBytes * (shareOf(threshold) ?? DEFAULT_SHARE)
  }
}
