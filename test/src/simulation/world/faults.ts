// What goes wrong: connections that break, go silent or are read slowly, a process that dies or
// stands still, has no room on its disk, and a wall clock that jumps.

import type { Element } from '../coverage.ts'
import type { Plan } from '../plan.ts'
import type { History } from './history.ts'
import type { Link } from './link.ts'
import type { BrokerNode } from './node.ts'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'
import type { Loss } from './storage.ts'

const RECENT_LINKS = 12
/** How long the process is away after a crash, mostly and now and then. */
const DOWN_MS = 2000
const LONG_DOWN_MS = 20_000
/** How often it is looked whether there is room again. */
const ROOM_MS = 50
/** Milliseconds that a crash waits for the disk to be written. */
const CRASH_PATIENCE = 300
/** Milliseconds that a crash waits for a promise to be given while the disk is written. */
const PROMISE_PATIENCE_MS = 3000

/** When a process dies: half of the time right after it has promised something. */
const MOMENTS = ['now', 'writing', 'promised', 'promised'] as const
const NOT_AWAITED = -1
/** How probable it is that the connection of a publisher breaks each time that it rests. */
const CUT_AT_REST = 0.01

export class Faults {
  happened: (element: Element) => void = () => undefined
  /** Told until when the process stands still. */
  stalled: (untilMs: number) => void = () => undefined
  /** Told when the wall clock has jumped. */
  jumped: () => void = () => undefined
  filled: (isFull: boolean) => void = () => undefined
  awaitsLastCrash = false
  readonly #plan: Plan
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #node: BrokerNode
  readonly #history: History
  #links: Link[] = []
  /** Until then the next crash waits for a promise while the disk is written. */
  #promisesUntilMs = NOT_AWAITED
  #isOver = false

  constructor(
    plan: Plan,
    schedule: Schedule,
    random: SeededRandom,
    node: BrokerNode,
    history: History,
  ) {
    this.#plan = plan
    this.#schedule = schedule
    this.#random = random
    this.#node = node
    this.#history = history
  }

  dialled(link: Link): void {
    this.#links.push(link)
    if (this.#links.length > RECENT_LINKS) this.#links.shift()
  }

  start(): void {
    const { crashMs, cutMs, slowMs, stallMs, jumpMs, fullMs, syncFailMs } = this.#plan
    this.#often(crashMs, () => {
      if (!this.awaitsLastCrash) this.#crash()
    })
    this.#often(cutMs, () => this.#cut())
    this.#often(slowMs, () => this.#slow())
    this.#often(stallMs, () => this.#stall())
    this.#often(jumpMs, () => this.#jump())
    this.#often(fullMs, () => this.#fill())
    this.#often(syncFailMs, () => this.#failSync())
  }

  /** What is broken is mended, nothing more breaks. */
  stop(): void {
    this.#isOver = true
    this.#node.storage.calm()
    this.#node.calm()
    if (!this.#node.isAlive) this.#node.start()
    for (const link of this.#links) link.pauseClient(false)
  }

  /** A publisher's messages wait for another turn: now and then it is gone by then. */
  rested(link: Link): void {
    if (this.#isOver || this.#plan.cutMs === 0 || !this.#random.chance(CUT_AT_REST)) return
    this.#schedule.after(0, () => {
      this.#history.note(`link ${link.id} breaks while its client rests`)
      link.cut(0)
    })
  }

  #often(meanMs: number, happen: () => void): void {
    if (meanMs === 0) return
    this.#schedule.after(this.#random.below(meanMs * 2) + 1, () => {
      if (this.#isOver) return
      happen()
      this.#often(meanMs, happen)
    })
  }

  /** When there is most to lose: while the disk is written, or just after a promise was given. */
  #crash(): void {
    const moment = this.#random.pick(MOMENTS)
    if (moment === 'now') this.#die('some')
    else if (moment === 'writing') this.#crashInWriting(CRASH_PATIENCE)
    else this.#crashAfterPromise()
  }

  /**
   * The power fails in the turn in which somebody was told that a message is kept for others, and
   * something is not synced: should the promise have been about that, it is broken now.
   */
  #crashAfterPromise(): void {
    this.#promisesUntilMs = this.#schedule.nowMs + PROMISE_PATIENCE_MS
  }

  /** There is one more crash: when there is most to lose. */
  awaitLastCrash(): void {
    this.awaitsLastCrash = true
    this.#node.storage.spare()
    this.#crashAfterPromise()
  }

  /** A message was acknowledged that a session has to get which outlives a crash. */
  promised(): void {
    if (this.#promisesUntilMs === NOT_AWAITED) return
    const isUnsynced = this.#node.storage.isWriting
    if (!isUnsynced && this.#schedule.nowMs < this.#promisesUntilMs) return
    this.#promisesUntilMs = NOT_AWAITED
    this.#schedule.after(0, () => {
      this.#die(isUnsynced ? 'all' : 'some')
      this.awaitsLastCrash = false
    })
  }

  #crashInWriting(patience: number): void {
    if (patience === 0 || this.#node.storage.isWriting) this.#die('some')
    else this.#schedule.after(1, () => this.#crashInWriting(patience - 1))
  }

  #die(loss: Loss): void {
    if (!this.#node.isAlive || this.#isOver) return
    if (this.#node.storage.isWriting) this.happened('a process dies while the disk is written')
    if (loss === 'all') this.happened('all that was not synced is lost after a promise')
    this.#node.crash(loss)
    // Expiry and delays go on while it is down.
    const downMsMax = this.#random.chance(0.1) ? LONG_DOWN_MS : DOWN_MS
    this.#node.startLater(this.#random.between(10, downMsMax))
  }

  #cut(): void {
    const link = this.#link()
    if (link === null) return
    if (this.#random.chance(0.7)) {
      this.#history.note(`link ${link.id} breaks`)
      link.cut()
      return
    }
    this.#history.note(`link ${link.id} goes silent`)
    // Some brokers learn by the keep alive only, before a client that takes over tells them.
    const isLong = this.#random.chance(0.4)
    const brokerLearnsMs = this.#random.between(100, isLong ? 200_000 : 20_000)
    link.freeze(brokerLearnsMs, this.#random.between(100, isLong ? 20_000 : 5000))
  }

  #slow(): void {
    const link = this.#link()
    if (link === null) return
    this.#history.note(`link ${link.id} is not read`)
    link.pauseClient(true)
    this.#schedule.after(this.#random.between(10, 3000), () => link.pauseClient(false))
  }

  #stall(): void {
    const ms = this.#random.between(50, 3000)
    this.#history.note(`the process stands still for ${ms} ms`)
    this.#node.stall(ms)
    this.stalled(this.#node.stalledUntilMs)
  }

  #jump(): void {
    const ms = this.#random.between(-20_000, 20_000)
    this.#history.note(`the wall clock jumps by ${ms} ms`)
    this.#node.wallOffsetMs += ms
    this.jumped()
  }

  #fill(): void {
    const { storage } = this.#node
    this.#history.note('the disk is full')
    storage.fill(true)
    this.filled(true)
    this.#schedule.after(this.#random.between(100, 5000), () => {
      storage.fill(false)
      this.#history.note('the disk has room')
      this.#watchRoom()
    })
  }

  /** A store that was full may need a while to notice that it is not. */
  #watchRoom(): void {
    if (!this.#node.storage.mayRefuse) this.filled(false)
    else this.#schedule.after(ROOM_MS, () => this.#watchRoom())
  }

  #failSync(): void {
    if (!this.#node.isAlive) return
    this.#history.note('the next sync fails')
    this.#node.storage.failSync()
  }

  #link(): Link | null {
    return this.#links.length === 0 ? null : this.#random.pick(this.#links)
  }
}
