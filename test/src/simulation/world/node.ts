// The broker's process: the real core with simulated clock, store and network around it. It can be
// killed at any moment and started again on what the store has kept.

import { Broker } from '@godwit/broker/core/broker'
import type { Connection } from '@godwit/broker/core/connection'
import type { LedgerEntry } from '@godwit/broker/core/ledger'
import type { Limits } from '@godwit/broker/core/limits'
import type { Clock, Guard, Random, Store, Trace } from '@godwit/broker/core/ports'
import type { Link } from './link.ts'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'
import type { Storage } from './storage.ts'

/** Something that happened while the broker was handling a chunk, after so many of its packets. */
export interface Between {
  readonly packets: number
  readonly tell: () => void
}

/** What happens at the border of the broker; told in the order in which it happens. */
export interface Witness {
  /** The broker has handled so many packets of the chunk, and has done all that meanwhile. */
  incoming(link: Link, chunk: Uint8Array, packets: number, between: readonly Between[]): void
  outgoing(link: Link, pieces: readonly Uint8Array[]): void
  /** The client of this id has its session, by the connection on this link. */
  attached(clientId: string, link: number): void
  /** A connection has ended before it got a session. */
  refused(link: number, text: string): void
  /** The client of this id has no connection any more. */
  detached(clientId: string, text: string): void
  /** The broker has been told that the network connection is gone. */
  closed(link: Link): void
  turnEnded(): void
  ticked(): void
  crashed(ledger: readonly LedgerEntry[]): void
  started(): void
  note(text: string): void
}

export interface NodeOptions {
  readonly limits: Limits
  /** Watch each packet: takes the short way of QoS 0 from the core. */
  readonly tracePackets: boolean
  readonly guard: Guard
}

const TICK_MS = 100
/** Who cannot start for want of room tries again after this time. */
const RESTART_MS = 500
const WALL_START_MS = 1_700_000_000_000

function ignore(): void {
  // Nobody asks.
}

export class BrokerNode {
  readonly storage: Storage
  broker: Broker | null = null
  wallOffsetMs: number = WALL_START_MS
  /** Until then the process does nothing. */
  stalledUntilMs = 0
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #options: NodeOptions
  readonly #witness: Witness
  readonly #links = new Set<Link>()
  #backlog: (() => void)[] = []
  #between: Between[] | null = null
  #packetsBefore = 0
  #life = 0
  #monotonicOffsetMs = 0
  #isStarting = false

  constructor(
    schedule: Schedule,
    random: SeededRandom,
    options: NodeOptions,
    witness: Witness,
    storage: (node: BrokerNode) => Storage,
  ) {
    this.#schedule = schedule
    this.#random = random
    this.#options = options
    this.#witness = witness
    this.storage = storage(this)
  }

  get isUp(): boolean {
    return this.broker !== null
  }

  /** There is a process, which may still read its store. */
  get isAlive(): boolean {
    return this.isUp || this.#isStarting
  }

  wallMs(): number {
    return this.#clock().wallMs()
  }

  /** Runs what the process does, when it gets time. */
  enter(run: () => void): void {
    this.#enter(this.#life, run)
  }

  start(): void {
    const life = ++this.#life
    // A machine that was restarted counts from another number.
    this.#monotonicOffsetMs = this.#random.below(1_000_000_000)
    this.#isStarting = true
    this.storage.open({
      opened: store => this.#started(life, store),
      refused: text => {
        this.#witness.note(`the process does not start: ${text}`)
        this.crash()
        this.startLater(RESTART_MS)
      },
      durable: batch => this.broker?.durable(batch),
      fetched: page => this.broker?.fetched(page),
      failed: cause => {
        this.#witness.note(cause.message)
        this.broker?.storeFailed(cause.message)
        this.crash()
        this.startLater(RESTART_MS)
      },
      killed: () => {
        this.crash()
        this.startLater(RESTART_MS)
      },
      note: text => this.#witness.note(text),
    })
  }

  startLater(delayMs: number): void {
    this.#schedule.after(delayMs, () => {
      if (!this.isAlive) this.start()
    })
  }

  #started(life: number, store: Store): void {
    this.#isStarting = false
    const broker = new Broker(
      {
        clock: this.#clock(),
        random: this.#chance(),
        turn: { request: () => this.#requestTurn(life) },
        store,
        peers: { nodeName: 'simulated', present: false, interested: ignore, forward: ignore },
        guard: this.#options.guard,
        trace: this.#trace(),
      },
      this.#options.limits,
      { version: '0', statsIntervalSeconds: 0, responseTopicPrefix: null },
    )
    this.broker = broker
    this.#witness.started()
    broker.start()
    this.#tick(life)
  }

  /** The process ends between two of its turns. */
  crash(): void {
    const broker = this.broker
    if (!this.isAlive) return
    if (broker !== null) this.#witness.crashed(broker.ledger.entries())
    this.#life++
    this.#isStarting = false
    this.broker = null
    this.storage.crash()
    this.#backlog = []
    this.stalledUntilMs = 0
    for (const link of this.#links) link.orphan()
    this.#links.clear()
  }

  /** The process gets no time for a while; what comes meanwhile is handled after it. */
  stall(ms: number): void {
    if (!this.isAlive || this.stalledUntilMs > this.#schedule.nowMs) return
    this.stalledUntilMs = this.#schedule.nowMs + ms
    const life = this.#life
    this.#schedule.after(ms, () => {
      if (life !== this.#life) return
      this.stalledUntilMs = 0
      const backlog = this.#backlog
      this.#backlog = []
      for (const run of backlog) run()
    })
  }

  accept(link: Link): void {
    const broker = this.broker
    if (broker === null) {
      link.cut()
      return
    }
    const life = this.#life
    this.#links.add(link)
    // What comes before the process looks waits in the system.
    link.pauseReading()
    this.#enter(life, () => {
      if (link.hasEnded) return
      this.#open(broker, life, link)
      link.resumeReading()
    })
  }

  #open(broker: Broker, life: number, link: Link): void {
    let connection: Connection | null = null
    link.tap = pieces => this.#tell(() => this.#witness.outgoing(link, pieces))
    link.broker = {
      bytes: chunk =>
        this.#enter(life, () => {
          if (connection !== null) this.#bytes(broker, connection, link, chunk)
        }),
      drained: () => this.#enter(life, () => connection?.drained()),
      closed: cause =>
        this.#enter(life, () => {
          this.#links.delete(link)
          connection?.closed(cause)
          this.#witness.closed(link)
        }),
    }
    connection = broker.open(link)
  }

  /** What the broker does not get to, since an earlier packet ended the connection, never came. */
  #bytes(broker: Broker, connection: Connection, link: Link, chunk: Uint8Array): void {
    const before = broker.counters.packetsReceived
    const between: Between[] = []
    this.#packetsBefore = before
    this.#between = between
    connection.bytes(chunk)
    this.#between = null
    this.#witness.incoming(link, chunk, broker.counters.packetsReceived - before, between)
  }

  #tell(tell: () => void): void {
    if (this.#between === null) {
      tell()
      return
    }
    const packets = (this.broker?.counters.packetsReceived ?? 0) - this.#packetsBefore
    this.#between.push({ packets, tell })
  }

  #enter(life: number, run: () => void): void {
    if (life !== this.#life) return
    if (this.#schedule.nowMs < this.stalledUntilMs) this.#backlog.push(run)
    else run()
  }

  #requestTurn(life: number): void {
    const delayMs = this.#random.chance(0.2) ? 1 : 0
    this.#schedule.after(delayMs, () =>
      this.#enter(life, () => {
        this.#schedule.hasPromises = true
        this.broker?.endTurn()
        this.#witness.turnEnded()
      }),
    )
  }

  #tick(life: number): void {
    this.#schedule.after(TICK_MS, () => {
      if (life !== this.#life) return
      if (this.#schedule.nowMs >= this.stalledUntilMs) {
        this.#schedule.hasPromises = true
        this.broker?.tick()
        this.#witness.ticked()
      }
      this.#tick(life)
    })
  }

  #clock(): Clock {
    return {
      monotonicMs: () => this.#monotonicOffsetMs + this.#schedule.nowMs,
      wallMs: () => this.wallOffsetMs + this.#schedule.nowMs,
    }
  }

  #chance(): Random {
    const letters = 'abcdefghijklmnopqrstuvwxyz0123456789'
    return {
      below: limit => this.#random.below(limit),
      text: length => Array.from({ length }, () => letters[this.#random.below(36)]).join(''),
    }
  }

  #trace(): Trace {
    return {
      packets: this.#options.tracePackets,
      messages: false,
      received: ignore,
      sent: ignore,
      published: ignore,
      connected: ({ clientId, origin }) => {
        this.#tell(() => this.#witness.attached(clientId, origin.remotePort))
      },
      disconnected: (clientId, _reasonCode, text) => {
        this.#tell(() => this.#witness.detached(clientId, text))
      },
      refused: (origin, _clientId, _reasonCode, text) => {
        this.#tell(() => this.#witness.refused(origin.remotePort, text))
      },
      subscribed: ignore,
      unsubscribed: ignore,
      dropped: ignore,
      flapping: ignore,
    }
  }
}
