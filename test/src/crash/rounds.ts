// Rounds of load, kill -9, restart on the same directory, and judgement.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DiskStoreOptions } from '@godwit/broker'
import { Chance } from '../support/chance.ts'
import { delay, until } from '../support/time.ts'
import { check, type Verdict } from './checker.ts'
import { readLedger } from './ledger.ts'
import type { RoundFigures } from './load.ts'
import type { LoadAnswer } from './load-main.ts'
import { type Carry, NOTHING_BEFORE } from './model.ts'
import { BrokerProcess, LoadProcess } from './processes.ts'

const CRASH_POINTS = [
  'after_write',
  'after_fsync',
  'before_ack',
  'mid_checkpoint',
  'after_segment_rename',
] as const

/** How often a named point is passed before the process ends there. */
const PASSES_MAX: Readonly<Record<(typeof CRASH_POINTS)[number], number>> = {
  after_write: 400,
  after_fsync: 400,
  before_ack: 400,
  mid_checkpoint: 6,
  after_segment_rename: 8,
}

const KIB = 1024
/** From one checkpoint after the other to hardly any within a round. */
const SIZES: readonly Omit<DiskStoreOptions, 'directory'>[] = [
  { segmentBytes: 16 * KIB, checkpointBytes: 32 * KIB, checkpointMs: 50 },
  { segmentBytes: 64 * KIB, checkpointBytes: 256 * KIB, checkpointMs: 300 },
  { segmentBytes: 1024 * KIB, checkpointBytes: 4096 * KIB, checkpointMs: 60_000 },
]

const LOAD_MS_MIN = 100
const LOAD_MS_MAX = 1500
/** A named point that is not reached by then is not going to be. */
const POINT_LIMIT_MS = 4000

export interface RoundsOptions {
  readonly rounds: number
  readonly seed: number
  /** For data and ledgers; what was there before goes. */
  readonly directory: string
  readonly report: (line: string) => void
}

export interface RoundsResult {
  readonly rounds: number
  readonly violations: readonly string[]
  readonly figures: Figures
  /** How often the process ended where. */
  readonly ends: ReadonlyMap<string, number>
}

export interface Figures {
  published: number
  acknowledged: number
  /** Deliveries that were owed, each of which was looked for. */
  owed: number
  received: number
  repeated: number
  unfinishedAtCrash: number
  /** Kills while the broker was starting after a kill. */
  recoveriesKilled: number
}

/** @throws Error when a process fails in another way than by being killed */
export async function runRounds(options: RoundsOptions): Promise<RoundsResult> {
  rmSync(options.directory, { recursive: true, force: true })
  mkdirSync(options.directory, { recursive: true })
  const rounds = new Rounds(options)
  try {
    await rounds.run()
  } finally {
    await rounds.end()
  }
  return rounds.result()
}

class Rounds {
  private readonly options: RoundsOptions
  private readonly chance: Chance
  private readonly load: LoadProcess
  private readonly violations: string[] = []
  private readonly ends = new Map<string, number>()
  private readonly figures: Figures = {
    ...{ published: 0, acknowledged: 0, owed: 0, received: 0, repeated: 0 },
    ...{ unfinishedAtCrash: 0, recoveriesKilled: 0 },
  }
  private broker: BrokerProcess | null = null
  private carry: Carry = NOTHING_BEFORE
  private done = 0

  constructor(options: RoundsOptions) {
    this.options = options
    this.chance = new Chance(options.seed)
    this.load = new LoadProcess(join(options.directory, 'ledger'))
  }

  async run(): Promise<void> {
    for (let round = 1; round <= this.options.rounds; round++) {
      await this.round(round)
      this.done = round
      if (this.violations.length > 0) return
    }
  }

  result(): RoundsResult {
    const { violations, figures, ends, done } = this
    return { rounds: done, violations, figures, ends }
  }

  async end(): Promise<void> {
    if (this.violations.length === 0 && this.done === this.options.rounds) {
      await this.load.end()
      await this.broker?.stop()
      return
    }
    this.load.kill()
    await this.broker?.kill()
  }

  private async round(round: number): Promise<void> {
    // The first round has to set up everything, so it dies at a random moment.
    const point = round > 1 && this.chance.happens(0.6) ? this.chance.pick(CRASH_POINTS) : null
    const crash = point === null ? '' : `${point}:${1 + this.chance.below(PASSES_MAX[point])}`
    const startedMs = performance.now()
    await this.begin(crash)
    const { seed } = this.options
    const port = this.broker?.port ?? 0
    await this.load.ask({ type: 'start', seed, round, port }, 'running')
    const end = await this.waitForEnd(crash, point)
    const { ledger, figures } = await this.afterCrash()
    const verdict = check(readLedger(ledger), this.carry)
    this.carry = verdict.carry
    this.violations.push(...verdict.violations.map(text => `round ${round}: ${text}`))
    this.count(end, verdict, figures)
    if (verdict.violations.length === 0) rmSync(ledger)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    this.options.report(
      `round ${round}: ${end}, ${figures.published} published, ${verdict.owed} owed, ` +
        `${verdict.received} received, ${verdict.violations.length} violations, ${seconds} s`,
    )
  }

  /** The broker of the last round goes on, or one that dies at a named point takes its place. */
  private async begin(crash: string): Promise<void> {
    if (crash === '' && this.broker !== null) return
    await this.broker?.stop()
    this.broker = (await this.start(crash)) ?? (await this.start(''))
  }

  private async waitForEnd(crash: string, point: string | null): Promise<string> {
    const broker = this.broker
    if (broker === null) throw new Error('there is no broker to kill')
    if (point !== null) {
      if (await until(() => !broker.running, POINT_LIMIT_MS)) return `died at ${crash}`
    } else await delay(LOAD_MS_MIN + this.chance.below(LOAD_MS_MAX - LOAD_MS_MIN))
    if (!broker.running) throw new Error(`the broker ended by itself: ${broker.describe()}`)
    await broker.kill()
    return point === null ? 'killed' : `killed before ${crash}`
  }

  /** The broker is up again; the load comes to its end. */
  private async afterCrash(): Promise<Extract<LoadAnswer, { type: 'done' }>> {
    await this.load.ask({ type: 'crashed' }, 'stopped')
    // Now and then it dies again while it recovers.
    while (this.chance.happens(0.25)) {
      const point = this.chance.pick(['mid_checkpoint', 'after_segment_rename'] as const)
      const survivor = await this.start(`${point}:${1 + this.chance.below(3)}`)
      if (survivor === null) this.figures.recoveriesKilled++
      await survivor?.kill()
    }
    this.broker = await this.start('')
    return this.load.ask({ type: 'recovered', port: this.broker?.port ?? 0 }, 'done')
  }

  private start(crash: string): Promise<BrokerProcess | null> {
    const directory = join(this.options.directory, 'data')
    return BrokerProcess.start({ store: { directory, ...this.chance.pick(SIZES) }, crash })
  }

  private count(end: string, verdict: Verdict, load: RoundFigures): void {
    const { figures } = this
    figures.published += load.published
    figures.unfinishedAtCrash += load.unfinishedAtCrash
    figures.acknowledged += verdict.acknowledged
    figures.owed += verdict.owed
    figures.received += verdict.received
    figures.repeated += verdict.repeated
    const [name = ''] = end.split(':')
    this.ends.set(name, (this.ends.get(name) ?? 0) + 1)
  }
}
