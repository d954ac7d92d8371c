// What goes wrong: connections that break, go silent or are read slowly, a process that dies or
// stands still, has no room on its disk, and a wall clock that jumps.

import type { Plan } from '../plan.ts'
import type { History } from './history.ts'
import type { Link } from './link.ts'
import type { BrokerNode } from './node.ts'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'

const RECENT_LINKS = 12
/** How long the process is away after a crash, mostly and now and then. */
const DOWN_MS = 2000
const LONG_DOWN_MS = 20_000
/** How often it is looked whether there is room again. */
const ROOM_MS = 50
/** Milliseconds that a crash waits for the disk to be written. */
const CRASH_PATIENCE = 300

export class Faults {
  /** Told when the wall clock has jumped. */
  jumped: () => void = () => undefined
  filled: (isFull: boolean) => void = () => undefined
  readonly #plan: Plan
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #node: BrokerNode
  readonly #history: History
  #links: Link[] = []
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
    this.#often(crashMs, () => this.#crash())
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
    const moment = this.#random.pick(['now', 'writing', 'writing', 'promised', 'promised'])
    if (moment === 'now') this.#die()
    else if (moment === 'writing') this.#crashInWriting(CRASH_PATIENCE)
    else {
      const once = (): void => {
        this.#node.promised = () => undefined
        this.#schedule.after(this.#random.below(2), () => this.#die())
      }
      this.#node.promised = once
    }
  }

  #crashInWriting(patience: number): void {
    if (patience === 0 || this.#node.storage.isWriting) this.#die()
    else this.#schedule.after(1, () => this.#crashInWriting(patience - 1))
  }

  #die(): void {
    if (!this.#node.isAlive || this.#isOver) return
    this.#node.crash()
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
    link.freeze(this.#random.between(100, 20_000), this.#random.between(100, 5000))
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
