// The broker's process: the real core with simulated clock, store and network around it. It can be
// killed at any moment and started again on what the store has kept.

import { Broker, type PublishOptions } from '@godwit/broker/core/broker'
import { type Connection, ConnectionState } from '@godwit/broker/core/connection'
import type { LedgerEntry } from '@godwit/broker/core/ledger'
import type { Limits, Paging, Shares } from '@godwit/broker/core/limits'
import type { Clock, Random, Store, Trace } from '@godwit/broker/core/ports'
import type { Element } from '../coverage.ts'
import type { GuardPlan } from '../plan.ts'
import { LateGuard } from './late-guard.ts'
import { Link } from './link.ts'
import { OpenGuard } from './open-guard.ts'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'
import type { Loss, Storage } from './storage.ts'

/** Something that happened while the broker was handling a chunk, after so many of its packets. */
export interface Between {
  readonly packets: number
  readonly tell: () => void
}

/** What happens at the border of the broker; told in the order in which it happens. */
export interface Witness {
  /** Bytes have come. */
  arrived(link: Link, chunk: Uint8Array): void
  /**
   * The broker has handled so many packets of what has come, and has done all that meanwhile.
   * @param isOver it handles no more of them
   */
  incoming(link: Link, packets: number, between: readonly Between[], isOver: boolean): void
  /** The embedder has published, with this reason code. */
  embedded(message: PublishOptions, reasonCode: number): void
  outgoing(link: Link, pieces: readonly Uint8Array[]): void
  /** The broker ends the network connection. */
  ends(link: Link): void
  /** The embedder ends the client's connection. */
  expels(clientId: string): void
  /** The client of this id has its session, by the connection on this link. */
  attached(clientId: string, link: number): void
  /** A connection has ended before it got a session. */
  refused(link: number, text: string): void
  /** The client of this id has no connection any more. */
  detached(clientId: string, text: string): void
  /** The broker has been told that the network connection is gone. */
  closed(link: Link): void
  /** A publisher has had its share of the turn. */
  rests(link: Link): void
  turnEnded(): void
  ticked(): void
  crashed(ledger: readonly LedgerEntry[]): void
  started(): void
  note(text: string): void
  happened(element: Element): void
}

export interface NodeOptions {
  readonly limits: Limits
  readonly paging: Paging
  readonly shares: Shares
  /** Watch each packet: takes the short way of QoS 0 from the core. */
  readonly tracePackets: boolean
  readonly guard: GuardPlan | null
}

/** A connection of the broker. */
interface Line {
  readonly link: Link
  connection: Connection | null
  /** Packets that the broker has taken and not decided about. */
  untold: number
}

const TICK_MS = 100
const ADMINISTRATIVE_ACTION = 0x98
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
  readonly #lines = new Map<Link, Line>()
  /** Those whose network connection is gone. */
  #ended: Line[] = []
  #guard: LateGuard | null = null
  #backlog: (() => void)[] = []
  /** Whose packets are being handled, since when, and what has happened between them. */
  #handling: Line | null = null
  #between: Between[] | null = null
  #packetsBefore = 0
  #life = 0
  #monotonicOffsetMs = 0
  #isStarting = false
  #isCalm = false

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

  /** Nobody thinks for long any more. */
  calm(): void {
    this.#isCalm = true
    if (this.#guard !== null) this.#guard.isCalm = true
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
      durable: batch => this.#act(() => this.broker?.durable(batch)),
      fetched: page => {
        this.#witness.happened('a page of a queue is read')
        this.#act(() => this.broker?.fetched(page))
      },
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
    const plan = this.#options.guard
    const decided: ConstructorParameters<typeof LateGuard>[3] = (ticket, verdict) => {
      this.#enter(life, () => this.#decided(ticket, verdict))
    }
    const thinks = (): void => this.#witness.happened('a guard thinks')
    this.#guard =
      plan === null
        ? null
        : new LateGuard(plan, this.#schedule, this.#random.fork(), decided, thinks)
    if (this.#isCalm) this.calm()
    const broker = new Broker(
      {
        clock: this.#clock(),
        random: this.#chance(),
        turn: { request: () => this.#requestTurn(life) },
        store,
        peers: { nodeName: 'simulated', present: false, interested: ignore, forward: ignore },
        guard: this.#guard ?? new OpenGuard(),
        trace: this.#trace(),
      },
      this.#options.limits,
      {
        version: '0',
        statsIntervalSeconds: 0,
        responseTopicPrefix: null,
        assignedClientIdPrefix: '',
        allowEmptyClientId: true,
        paging: this.#options.paging,
        shares: this.#options.shares,
      },
    )
    this.broker = broker
    this.#listen(broker)
    this.#witness.started()
    broker.start()
    this.#tick(life)
  }

  /** The process ends between two of its turns. */
  crash(loss: Loss = 'some'): void {
    const broker = this.broker
    if (!this.isAlive) return
    if (broker !== null) this.#witness.crashed(broker.ledger.entries())
    this.#life++
    this.#isStarting = false
    this.broker = null
    this.storage.crash(loss)
    this.#backlog = []
    this.stalledUntilMs = 0
    for (const link of this.#lines.keys()) link.orphan(loss === 'all' ? 1 : 0.5)
    this.#lines.clear()
    this.#ended = []
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
    this.#lines.set(link, { link, connection: null, untold: 0 })
    // What comes before the process looks waits in the system.
    link.pauseReading()
    this.#enter(life, () => {
      if (link.hasEnded) return
      this.#open(broker, life, link)
      link.resumeReading()
    })
  }

  #open(broker: Broker, life: number, link: Link): void {
    const line = this.#lines.get(link)
    if (line === undefined) return
    link.tap = pieces => {
      // The broker uses its buffers again before this may be told.
      const copies = pieces.map(piece => piece.slice())
      this.#tell(() => this.#witness.outgoing(link, copies))
    }
    link.ending = () => this.#tell(() => this.#witness.ends(link))
    link.broker = {
      bytes: chunk => this.#enter(life, () => this.#bytes(line, chunk)),
      drained: () => this.#enter(life, () => line.connection?.drained()),
      closed: cause =>
        this.#enter(life, () => {
          if (line.connection?.resting) this.#witness.happened('a publisher goes while it rests')
          this.#ended.push(line)
          this.#act(() => line.connection?.closed(cause))
          this.#letGo()
        }),
    }
    line.connection = broker.open(link)
  }

  /** A connection that has ended stays until what came before its end is handled. */
  #letGo(): void {
    for (const line of this.#ended) {
      if ((line.connection?.state ?? ConnectionState.CLOSED) < ConnectionState.ENDING) continue
      this.#ended = this.#ended.filter(other => other !== line)
      this.#lines.delete(line.link)
      this.#witness.closed(line.link)
    }
  }

  #bytes(line: Line, chunk: Uint8Array): void {
    const { connection, link } = line
    if (connection === null) return
    this.#witness.arrived(link, chunk)
    this.#handle(line, () => connection.bytes(chunk))
  }

  #decided(ticket: number, verdict: Parameters<Broker['decided']>[1]): void {
    const { broker } = this
    if (broker === null) return
    try {
      for (const line of this.#lines.values()) {
        const { connection } = line
        if (connection?.waitingFor !== ticket) continue
        const isLogin = connection.state === ConnectionState.AUTHENTICATING
        if (isLogin && connection.hasRest) {
          this.#witness.happened('packets wait behind a CONNECT that a guard decides about')
        }
        this.#handle(line, () => broker.decided(ticket, verdict))
        return
      }
      this.#act(() => broker.decided(ticket, verdict))
    } catch (error) {
      this.#schedule.fail(error)
    }
  }

  #handle(line: Line, act: () => void): void {
    if (this.broker === null) return
    this.#begin(line)
    this.#act(act)
    this.#letGo()
  }

  /** Whatever packets the broker comes to by it are told when it is done. */
  #act(act: () => void): void {
    act()
    this.#tellHandled()
  }

  /** A connection that waited goes on whenever the broker says so: its packets are its own. */
  #listen(broker: Broker): void {
    const handleFrame = broker.handleFrame.bind(broker)
    broker.handleFrame = connection => {
      this.#attend(connection)
      const rested = connection.resting
      const { wire } = connection
      handleFrame(connection)
      if (connection.resting && !rested && wire instanceof Link) this.#witness.rests(wire)
    }
    const failed = broker.failed.bind(broker)
    broker.failed = (connection, error) => {
      this.#attend(connection)
      failed(connection, error)
    }
    this.#countWaiting(broker)
  }

  #attend(connection: Connection): void {
    if (connection === this.#handling?.connection) return
    this.#tellHandled()
    for (const line of this.#lines.values()) {
      if (line.connection === connection) this.#begin(line)
    }
  }

  /** What is put off to another turn. */
  #countWaiting(broker: Broker): void {
    const witness = this.#witness
    const { takeovers, groups, workload, shares } = broker
    const pause = broker.pause.bind(broker)
    broker.pause = connection => {
      const isForAnswers = connection.heldCount > shares.heldAnswers
      if (isForAnswers) witness.happened('a client is not read for its answers')
      pause(connection)
    }
    const holdsUp = takeovers.holdsUp.bind(takeovers)
    takeovers.holdsUp = (other, ...newcomer) => {
      const isHeld = holdsUp(other, ...newcomer)
      if (isHeld && other.resting) witness.happened('a publisher is taken over while it rests')
      return isHeld
    }
    const pumpAll = groups.pumpAll.bind(groups)
    groups.pumpAll = () => {
      if (groups.isBehind) witness.happened('a group is looked at in another turn')
      return pumpAll()
    }
    const goOn = workload.goOn.bind(workload)
    workload.goOn = () => {
      goOn()
      if (workload.waits) witness.happened('a publisher rests for more than a turn')
    }
  }

  #begin(line: Line): void {
    this.#handling = line
    this.#packetsBefore = (this.broker?.counters.packetsReceived ?? 0) - line.untold
    this.#between = []
  }

  /** What the broker does not get to, since an earlier packet ended the connection, never came. */
  #tellHandled(): void {
    const { broker } = this
    const line = this.#handling
    const connection = line?.connection ?? null
    const between = this.#between ?? []
    this.#handling = null
    this.#between = null
    if (broker === null || line === null || connection === null) return
    const taken = broker.counters.packetsReceived - this.#packetsBefore
    line.untold = this.#undecided(connection, taken)
    const isOver = connection.state >= ConnectionState.ENDING
    this.#witness.incoming(line.link, taken - line.untold, between, isOver)
  }

  /** How many of the packets have no effect yet, since somebody still thinks about them. */
  #undecided(connection: Connection, taken: number): number {
    const question = this.#guard?.questionOf(connection.waitingFor) ?? null
    if (connection.resumeConnect !== null) return taken
    // Filters are asked about one after the other: the first ones have their effect before.
    if (question === null || question === 'subscribe') return 0
    return connection.state === ConnectionState.AUTHENTICATING ? taken : 1
  }

  /** The embedder publishes. */
  publish(message: PublishOptions): void {
    this.#enter(this.#life, () => {
      const { broker } = this
      if (broker === null) return
      const between: Between[] = []
      this.#between = between
      const reasonCode = broker.publish(message)
      this.#between = null
      this.#witness.embedded(message, reasonCode)
      for (const { tell } of between) tell()
    })
  }

  /** The embedder ends a client's connection. */
  expel(clientId: string): void {
    this.#enter(this.#life, () => {
      this.#witness.expels(clientId)
      this.#act(() => this.broker?.disconnect(clientId, ADMINISTRATIVE_ACTION, 'expelled'))
      this.#letGo()
    })
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
        this.#act(() => this.broker?.endTurn())
        this.#letGo()
        this.#witness.turnEnded()
      }),
    )
  }

  #tick(life: number): void {
    this.#schedule.after(TICK_MS, () => {
      if (life !== this.#life) return
      if (this.#schedule.nowMs >= this.stalledUntilMs) {
        this.#schedule.hasPromises = true
        this.#act(() => this.broker?.tick())
        this.#letGo()
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
      clients: true,
      received: ignore,
      sent: ignore,
      published: ignore,
      connected: ({ clientId, origin }) => {
        this.#tell(() => this.#witness.attached(clientId, origin.remotePort))
      },
      disconnected: (clientId, _reasonCode, text) => {
        this.#tell(() => this.#witness.detached(clientId, text))
      },
      refused: (origin, _clientId, _username, _reasonCode, text) => {
        this.#tell(() => this.#witness.refused(origin.remotePort, text))
      },
      subscribed: ignore,
      unsubscribed: ignore,
      dropped: ignore,
      flapping: ignore,
    }
  }
}
