// One run: a world from a seed, first with faults, then without until all is quiet, then until all
// have left. The same seed gives the same run, to the last bit; the hash of its history says so.

import type { LedgerEntry } from '@godwit/broker/core/ledger'
import { NO_PROPERTIES, type QoS } from '@godwit/packet'
import { Behaviour } from './clients/behaviour.ts'
import { Client } from './clients/client.ts'
import type { Element } from './coverage.ts'
import type { Facts } from './model/facts.ts'
import { broken } from './model/failure.ts'
import { Observer } from './model/observer.ts'
import { checkEmpty } from './model/rules/memory.ts'
import { settle } from './model/rules/settled.ts'
import * as wills from './model/rules/wills.ts'
import { keyOf, payloadOf } from './payload.ts'
import { type Plan, planOf } from './plan.ts'
import { DiskStorage } from './world/disk-storage.ts'
import { Faults } from './world/faults.ts'
import { History } from './world/history.ts'
import { isSilenced, isStranger } from './world/late-guard.ts'
import { Link } from './world/link.ts'
import { BrokerNode } from './world/node.ts'
import { PlainStorage } from './world/plain-storage.ts'
import { SeededRandom } from './world/random.ts'
import { Schedule } from './world/schedule.ts'
import type { StoreOptions } from './world/simulated-store.ts'
import type { Storage } from './world/storage.ts'

export interface RunResult {
  readonly seed: number
  readonly hash: string
  readonly packets: number
  readonly events: number
  readonly crashes: number
  readonly failure: Error | null
  /** How often each element of the simulation occurred. */
  readonly coverage: ReadonlyMap<Element, number>
  /** The last that happened, oldest first. */
  readonly history: readonly string[]
}

const HISTORY_LINES = 60
const SLICE_MS = 1000
const SHORT_SLICE_MS = 5
/** The part of a run in which processes die by chance; the last one dies after a promise. */
const CRASHES_SHARE = 0.6
const LAST_CRASH_MS = 5000
const QUIET_MS_MIN = 12_000
const QUIET_MS_MAX = 240_000
const LEAVE_MS = 20_000
/** Every third run has a plain model of a store, in place of the real one. */
const PLAIN_EVERY = 3

/** One more rule, asked at the end of each turn of the broker. */
export type Rule = (facts: Facts) => void

/** @param lines how much of its history a run keeps */
export async function run(
  seed: number,
  lines: number = HISTORY_LINES,
  rule: Rule = () => undefined,
): Promise<RunResult> {
  const simulation = new Simulation(seed, lines, rule)
  let failure: Error | null = null
  try {
    await simulation.run()
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error))
  } finally {
    simulation.dispose()
  }
  const { history, schedule, observer } = simulation
  return {
    seed,
    hash: history.hash,
    packets: history.packets,
    events: schedule.count,
    crashes: observer.facts.crashes,
    failure,
    coverage: observer.facts.coverage.counts,
    history: history.last(),
  }
}

class Simulation {
  readonly schedule: Schedule = new Schedule()
  readonly history: History
  readonly observer: Observer
  readonly #plan: Plan
  readonly #node: BrokerNode
  readonly #faults: Faults
  readonly #clients: Behaviour[]
  readonly #ledger: LedgerEntry[] = []
  readonly #embedding: SeededRandom
  readonly #rule: Rule
  #links = 0

  constructor(seed: number, lines: number, rule: Rule) {
    this.#rule = rule
    this.history = new History(this.schedule, lines, text => {
      this.observer.facts.coverage.note(text)
    })
    const random = new SeededRandom(seed)
    const plan = planOf(random.fork(), seed % PLAIN_EVERY !== 0)
    this.#plan = plan
    const { limits, latencyMsMax, tracePackets } = plan
    this.observer = new Observer({
      inflightMax: limits.inflightMax,
      legacySessionExpirySeconds: Math.min(
        limits.legacySessionExpirySeconds,
        limits.sessionExpirySecondsMax,
      ),
      retainedMayBeLost:
        limits.retainedMessagesMax < 1000 || limits.retainedBytesMax < 1_000_000 || plan.fullMs > 0,
      neverCrashes: plan.crashMs === 0,
      willDelaySecondsMax: limits.willDelaySecondsMax,
      sessionExpirySecondsMax: limits.sessionExpirySecondsMax,
      isSilenced: topic => isSilenced(plan.guard, topic),
      isStranger: connect => isStranger(plan.guard, connect),
      note: (direction, link, packet) => this.history.packet(direction, link, packet),
      tell: text => this.history.note(text),
    })
    const options = {
      limits,
      paging: plan.paging,
      shares: plan.shares,
      tracePackets,
      guard: plan.guard,
    }
    // Some stores keep their sessions in memory while the process lives.
    const store = { latencyMsMax, pages: seed % 2 === 0 }
    this.#node = new BrokerNode(this.schedule, random.fork(), options, this.#witness(), node =>
      this.#storage(node, random.fork(), store),
    )
    this.#faults = new Faults(plan, this.schedule, random.fork(), this.#node, this.history)
    this.observer.facts.promised = () => this.#faults.promised()
    const happened = (element: Element): void => this.observer.facts.coverage.count(element)
    this.#faults.happened = happened
    this.#countPlan(plan)
    this.observer.facts.subscribesLate = plan.guard?.asks.includes('subscribe') === true
    if (plan.guard !== null) this.observer.facts.thinkingMs = plan.guard.delayMsMax * 20
    this.observer.facts.readsSoon = plan.guard === null && limits.totalOutgoingBytesMax > 1_000_000
    this.observer.facts.willsLate = plan.guard?.asks.includes('publish') === true
    this.#faults.stalled = untilMs => {
      this.observer.facts.stalledUntilMs = untilMs
    }
    this.#faults.jumped = () => {
      this.observer.facts.lastJumpMs = this.schedule.nowMs
    }
    this.#faults.filled = isFull => {
      this.observer.facts.isFull = isFull
      this.observer.facts.roomMs = this.schedule.nowMs
    }
    this.#embedding = random.fork()
    this.#clients = plan.clients.map(each => this.#client(each, random.fork()))
  }

  #countPlan(plan: Plan): void {
    const { coverage } = this.observer.facts
    for (const { level, isReal } of plan.clients) {
      const name = level === 5 ? '5' : level === 4 ? '3.1.1' : '3.1'
      coverage.count(`a client speaks MQTT ${name}`)
      if (isReal) coverage.count('a client has the session of the library')
    }
    coverage.count(plan.disk === null ? 'a plain store is used' : 'the real store is used')
  }

  dispose(): void {
    this.#node.storage.dispose()
  }

  async run(): Promise<void> {
    this.#node.start()
    this.#passTime()
    for (const client of this.#clients) client.start()
    this.#faults.start()
    this.#embed(this.#plan.embedMs, 1)
    const { safetyMs, crashMs } = this.#plan
    if (crashMs > 0) {
      await this.schedule.runUntil(safetyMs * CRASHES_SHARE)
      await this.#crashLast(safetyMs + LAST_CRASH_MS)
    } else await this.schedule.runUntil(safetyMs)
    await this.#settle()
    const losses = this.#allLosses()
    this.observer.facts.coverage.losses(losses)
    settle(this.observer.facts, losses)
    await this.#leave()
  }

  /** What was promised just before the last crash nobody gives up: all that follows is calm. */
  async #crashLast(untilMs: number): Promise<void> {
    this.#faults.awaitLastCrash()
    while (this.#faults.awaitsLastCrash && this.schedule.nowMs < untilMs) {
      await this.schedule.runUntil(this.schedule.nowMs + SHORT_SLICE_MS)
    }
  }

  /** No more faults: everything that was begun comes to its end. */
  async #settle(): Promise<void> {
    this.history.note('calm')
    this.#faults.stop()
    for (const client of this.#clients) {
      client.isCalm = true
      client.client.ackDelayMsMax = Math.min(client.client.ackDelayMsMax, 20)
    }
    const from = this.schedule.nowMs
    let talk = -1
    let isTalking = true
    do {
      talk = this.history.talk
      await this.schedule.runUntil(this.schedule.nowMs + SLICE_MS * 2)
      if (this.schedule.nowMs - from > QUIET_MS_MAX) break
      // A slow disk may keep everybody waiting for longer than a slice.
      isTalking = this.history.talk !== talk || !this.#node.storage.idle
    } while (isTalking || this.#isOut() || this.schedule.nowMs - from < QUIET_MS_MIN)
    if (isTalking) broken('liveness', 'it never becomes quiet')
    const unrest = this.#unrest()
    if (unrest !== '') broken('liveness', unrest)
  }

  /** A client has no connection, or one that went silent before the calm and it has to notice. */
  #isOut(): boolean {
    return this.#clients.some(({ client }) => !client.isOpen || client.link?.isSilent === true)
  }

  /** Who has not finished. */
  #unrest(): string {
    for (const { client } of this.#clients) {
      if (!client.isOpen) return `${client.id} is not connected`
      const count = client.outgoingCount
      if (count > 0) return `${client.id} has ${count} messages that are not acknowledged`
    }
    for (const life of this.observer.facts.lives.values()) {
      const begun = [...life.underWay].filter(([, entry]) => entry.qos === 2)
      const names = begun.map(([packetId, { key }]) => `${packetId} (${key})`)
      if (names.length > 0) return `${life.clientId} never got to the end of ${names.join(', ')}`
    }
    return this.#node.storage.idle ? '' : 'the store is writing'
  }

  async #leave(): Promise<void> {
    this.history.note('leave')
    for (const client of this.#clients) client.clear()
    await this.schedule.runUntil(this.schedule.nowMs + SLICE_MS * 5)
    for (const topic of this.observer.facts.retained.keys()) {
      const payload = new Uint8Array(0)
      this.#node.publish({ topic, payload, qos: 1, retain: true, properties: NO_PROPERTIES })
    }
    await this.schedule.runUntil(this.schedule.nowMs + SLICE_MS * 5)
    for (const client of this.#clients) {
      if (!client.leave()) broken('liveness', `${client.client.id} could not come to say goodbye`)
    }
    await this.schedule.runUntil(this.schedule.nowMs + LEAVE_MS)
    const { broker, storage } = this.#node
    if (broker === null) broken('liveness', 'the process is gone')
    storage.close()
    await this.schedule.runUntil(this.schedule.nowMs + LEAVE_MS)
    checkEmpty(broker, storage.census())
  }

  #storage(node: BrokerNode, random: SeededRandom, store: StoreOptions): Storage {
    const { disk } = this.#plan
    const wallMs = (): number => node.wallMs()
    if (disk === null) return new PlainStorage(this.schedule, random, store, wallMs)
    return new DiskStorage(this.schedule, random, disk, wallMs, act => node.enter(act))
  }

  #client(plan: Plan['clients'][number], random: SeededRandom): Behaviour {
    const client = new Client(plan, this.schedule, random.fork(), {
      took: (_client, link, packet) => this.observer.took(link, packet),
      misunderstood: (who, text) => broken('client', `${who.id}: ${text}`),
      offends: (link, offence) => this.observer.offends(link, offence),
      lies: link => this.observer.lies(link),
      expelled: () => {
        this.observer.facts.coverage.count('a wrong password ends a connection')
      },
      refused: ({ usesScram }, hasHurried) => {
        const { coverage } = this.observer.facts
        coverage.count('a CONNECT is refused')
        if (usesScram) coverage.count('SCRAM keeps a client out')
        if (hasHurried) coverage.count('a CONNECT is refused, and more came behind it')
      },
    })
    const dial = (): Link => {
      const link = new Link(++this.#links, this.schedule, random.fork(), this.#plan.network)
      this.#faults.dialled(link)
      const { coverage } = this.observer.facts
      link.slowed = () => coverage.count('a write finds the client slow')
      if (this.#plan.network.delayMsMax > 0) coverage.count('bytes are late')
      this.#node.accept(link)
      return link
    }
    return new Behaviour(client, plan.paceMs, this.#plan, this.schedule, random.fork(), dial)
  }

  /** The embedder publishes now and then, as long as there are faults. */
  #embed(meanMs: number, number: number): void {
    if (meanMs === 0) return
    const random = this.#embedding
    this.schedule.after(random.below(meanMs * 2) + 1, () => {
      if (this.schedule.nowMs > this.#plan.safetyMs) return
      const { topics, limits, clients } = this.#plan
      const isCalm = this.#clients.some(client => client.isCalm)
      if (!isCalm && random.chance(0.1)) this.#node.expel(random.pick(clients).id)
      this.#node.publish({
        topic: random.pick(topics),
        payload: payloadOf(keyOf('embedder', number), random.below(80)),
        qos: Math.min(random.below(3), limits.maximumQoS) as QoS,
        retain: random.chance(0.2),
        properties: random.chance(0.1) ? { messageExpiryInterval: 2 } : NO_PROPERTIES,
      })
      this.#embed(meanMs, number + 1)
    })
  }

  /** The model looks at the clock as well. */
  #passTime(): void {
    this.schedule.after(200, () => {
      const { facts } = this.observer
      facts.at++
      facts.nowMs = this.schedule.nowMs
      const isDown = !this.#node.isUp || this.#node.stalledUntilMs > facts.nowMs
      if (!isDown) {
        wills.passTime(facts, this.#node.storage)
        this.observer.passTime()
      }
      this.#passTime()
    })
  }

  #allLosses(): LedgerEntry[] {
    return [...this.#ledger, ...(this.#node.broker?.ledger.entries() ?? [])]
  }

  #turnEnded(): void {
    this.observer.turnEnded()
    this.#rule(this.observer.facts)
  }

  #witness(): ConstructorParameters<typeof BrokerNode>[3] {
    const { observer, history, schedule } = this
    const now = (): void => {
      observer.facts.nowMs = schedule.nowMs
    }
    return {
      arrived: (link, chunk) => {
        now()
        observer.arrived(link, chunk)
      },
      incoming: (link, packets, between, isOver) => {
        now()
        observer.incoming(link, packets, between, isOver)
      },
      ends: link => observer.ends(link),
      expels: clientId => {
        history.note(`the embedder ends the connection of ${clientId}`)
        observer.expels(clientId)
      },
      embedded: (message, reasonCode) => {
        now()
        history.note(`the embedder publishes on ${message.topic} at QoS ${message.qos}`)
        observer.embedded(message, reasonCode)
      },
      outgoing: (link, pieces) => {
        now()
        observer.outgoing(link, pieces)
      },
      attached: (clientId, link) => observer.attached(clientId, link),
      refused: (link, text) => {
        now()
        history.note(`link ${link} is refused: ${text}`)
        observer.refused(link, text)
      },
      detached: (clientId, text) => {
        now()
        history.note(`${clientId} is detached: ${text}`)
        observer.detached(clientId, text)
      },
      closed: link => {
        now()
        history.note(`link ${link.id} is closed`)
        observer.closed(link)
      },
      rests: link => {
        observer.facts.coverage.count('a publisher rests')
        this.#faults.rested(link)
      },
      turnEnded: () => this.#turnEnded(),
      ticked: () => {
        observer.facts.tickMs = schedule.nowMs
      },
      crashed: ledger => {
        now()
        history.note('the process dies')
        this.#ledger.push(...ledger.map(entry => ({ ...entry })))
        observer.crashed()
      },
      note: text => history.note(text),
      happened: element => observer.facts.coverage.count(element),
      started: () => {
        now()
        history.note('the process starts')
        observer.started()
      },
    }
  }
}
