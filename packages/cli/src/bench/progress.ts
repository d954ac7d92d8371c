// What is seen while a run is under way: one line that is drawn again on a terminal, a line every
// few seconds in a pipe, nothing when it is to be quiet. It writes to standard error: results are
// on standard output.

import cliProgress from 'cli-progress'
import { formatCount, formatRate, formatUs } from './numbers.ts'
import type { Interval } from './result.ts'

const PIPE_EVERY_SECONDS = 5

export interface Progress {
  /** A line that stays. */
  say(line: string): void
  /** Begins something that has an end: so many seconds or messages. */
  begin(total: number, unit: 'seconds' | 'messages' | 'sessions'): void
  update(done: number, text: string): void
  end(): void
}

/** @param clock milliseconds that only grow */
export function openProgress(
  isQuiet: boolean,
  stream: NodeJS.WriteStream,
  clock: () => number = () => performance.now(),
): Progress {
  if (isQuiet) return { say: nothing, begin: nothing, update: nothing, end: nothing }
  return stream.isTTY ? new Bar(stream) : new Lines(stream, clock)
}

/** What a second of a run looks like. */
export function intervalText(interval: Interval, total: { received: number }): string {
  const seconds = Math.max(1e-3, interval.toSeconds - interval.fromSeconds)
  const parts = [
    `${formatCount(total.received)} msgs`,
    `${formatRate(interval.received / seconds)} msg/s`,
  ]
  if (interval.p50 !== null) {
    parts.push(`p50 ${formatUs(interval.p50)}`, `p99 ${formatUs(interval.p99)}`)
    parts.push(`max ${formatUs(interval.max)}`)
  }
  parts.push(`loop delay ${interval.loopDelayMs.toFixed(1)} ms`)
  if (interval.isWarmup) parts.push('warm-up')
  return parts.join('   ')
}

class Bar implements Progress {
  private readonly stream: NodeJS.WriteStream
  private bar: cliProgress.SingleBar | null = null

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream
  }

  say(line: string): void {
    this.stream.write(`${line}\n`)
  }

  begin(total: number): void {
    this.end()
    this.bar = new cliProgress.SingleBar({
      format: '[{bar}] {percentage} %   {text}',
      barsize: 22,
      barCompleteChar: '#',
      barIncompleteChar: '-',
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      linewrap: null,
      stream: this.stream,
    })
    this.bar.start(Math.max(1, total), 0, { text: '' })
  }

  update(done: number, text: string): void {
    this.bar?.update(Math.min(done, this.bar.getTotal()), { text })
  }

  end(): void {
    this.bar?.stop()
    this.bar = null
  }
}

class Lines implements Progress {
  private readonly stream: NodeJS.WriteStream
  private lastMs = 0
  private total = 0
  private unit = ''
  private readonly clock: () => number

  constructor(stream: NodeJS.WriteStream, clock: () => number) {
    this.stream = stream
    this.clock = clock
  }

  say(line: string): void {
    this.stream.write(`${line}\n`)
  }

  begin(total: number, unit: string): void {
    this.total = total
    this.unit = unit
    this.lastMs = this.clock()
  }

  update(done: number, text: string): void {
    if (this.clock() - this.lastMs < PIPE_EVERY_SECONDS * 1e3) return
    this.lastMs = this.clock()
    if (!Number.isFinite(done)) {
      this.stream.write(`${text}\n`)
      return
    }
    const of = this.total === 0 ? '' : ` of ${formatCount(this.total)}`
    this.stream.write(`${formatCount(done)}${of} ${this.unit}   ${text}\n`)
  }

  end(): void {
    this.total = 0
  }
}

function nothing(): void {
  // It is to be quiet.
}
