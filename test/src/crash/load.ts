// The load of a round: who the clients are, what they do until the broker dies, and what they do
// when it is up again, until everything that was under way has come to its end.

import { Chance } from '../support/chance.ts'
import { delay, until } from '../support/time.ts'
import { Client, type ClientOptions, clientOptions, type Outgoing, type World } from './client.ts'
import { Ledger, type LedgerSink, type LedgerWill } from './ledger.ts'

/** A machine that does other things as well may take long; a lost message takes for ever. */
const LIMIT_MS = 60_000
const WINDOW = 30
const DYNAMIC_FILTERS = 8
const RETAINED_TOPICS = 4
const WILLS = 4
const PROBES_PER_PUBLISHER = 3
const GROUP_SENTINELS = 4
const RETRY_MS = 20

type Areas = 'a' | 'b' | 'd' | 's' | 'r'
const AREAS: readonly Areas[] = ['a', 'a', 'b', 'b', 'd', 'd', 's', 'r']

interface Subscriber {
  readonly client: Client
  readonly filters: readonly (readonly [filter: string, qos: 0 | 1 | 2])[]
  /** Filters that come and go; undefined: an answer is missing. */
  readonly dynamic: Map<string, boolean | undefined>
  readonly dynamicQos: 0 | 1 | 2
  /** How much of the time it is away. */
  readonly away: number
  readonly takesOver: boolean
}

interface ShortSession {
  readonly client: Client
  readonly sinceMs: number
}

/** What a round was made of, for the report. */
export interface RoundFigures {
  published: number
  received: number
  unfinishedAtCrash: number
}

export class Load {
  private figures: RoundFigures = { published: 0, received: 0, unfinishedAtCrash: 0 }
  private ledger: Ledger
  private readonly world: World
  private readonly publishers: Client[]
  private readonly subscribers: Subscriber[]
  private readonly sentinel: Client
  private readonly awaited = new Set<string>()
  private shortSessions: ShortSession[] = []
  private wills: Client[] = []
  private auditCount = 0
  private round = 0
  private port = 0
  private sequence = 0
  private stopped = false
  private patienceMs = LIMIT_MS
  private isSetUp = false

  constructor(seed: number, ledgerPath: string) {
    this.ledger = new Ledger(ledgerPath)
    this.world = { chance: new Chance(seed), ledger: this.ledger, clears: new Map() }
    this.publishers = [
      this.client('p0', 5),
      this.client('p1', 4),
      this.client('p2', 5, { receiveMaximum: 8 }),
      this.client('p3', 4),
      this.client('p4', 5, { clean: true }),
      this.client('p5', 4, { clean: true }),
    ]
    this.subscribers = this.makeSubscribers()
    this.sentinel = this.client('sentinel', 5)
  }

  /** Every session and subscription of the load is there. Once. */
  async setUp(port: number): Promise<void> {
    this.port = port
    if (this.isSetUp) return
    this.isSetUp = true
    for (const { client, filters } of this.subscribers) {
      await this.mustConnect(client)
      for (const [filter, qos] of filters) await client.subscribe(filter, qos)
    }
  }

  /** Until `stop` is called. */
  async run(round: number, port: number): Promise<void> {
    this.round = round
    this.port = port
    this.stopped = false
    this.wills = Array.from({ length: WILLS }, (_, i) => {
      const level = i % 2 === 0 ? 5 : 4
      return this.client(`will-${round}-${i}`, level, { clean: this.world.chance.happens(0.2) })
    })
    await Promise.all([
      ...this.publishers.map(client => this.publishing(client)),
      ...this.subscribers.map(subscriber => this.subscribing(subscriber)),
      ...this.wills.map(client => this.dying(client)),
      this.cleanSubscribing(),
      this.shortLiving(),
    ])
  }

  /** The broker has died. Resolves when every connection knows it. */
  async stop(running: Promise<void>): Promise<void> {
    this.stopped = true
    await running
    const all = this.everybody()
    this.figures.unfinishedAtCrash = all.reduce((sum, one) => sum + one.unfinishedCount, 0)
    const gone = await until(() => all.every(client => !client.linked), LIMIT_MS)
    if (!gone) this.odd('some connections outlive the broker')
    this.ledger.add({ op: 'crash' })
  }

  /** The broker is up again: everything goes on and comes to its end. */
  async recover(port: number, patienceMs: number = LIMIT_MS): Promise<void> {
    this.port = port
    this.patienceMs = patienceMs
    this.ledger.add({ op: 'up' })
    await this.audit()
    const subscribers = this.subscribers.map(one => one.client)
    const { chance } = this.world
    for (const client of subscribers.toSorted(() => chance.next() - 0.5)) {
      await this.mustConnect(client)
    }
    for (const client of [...this.publishers, this.sentinel]) await this.mustConnect(client)
    const finished = (): boolean => this.publishers.every(client => client.unfinishedCount === 0)
    if (!(await until(finished, this.patienceMs))) this.odd('a publisher waits in vain for its end')
    await this.settleSubscriptions()
    await this.probe()
    await this.awaitAll('wills')
    await this.drain()
    await this.audit()
    await this.cleanUp()
  }

  /** The round is over: what comes from now on belongs to the next one. */
  finishRound(nextPath: string): RoundFigures {
    const { figures } = this
    this.ledger.close()
    this.ledger = new Ledger(nextPath)
    this.world.ledger = this.ledger
    this.figures = { published: 0, received: 0, unfinishedAtCrash: 0 }
    return figures
  }

  /** Nobody is connected any more. */
  end(): void {
    for (const client of this.everybody()) client.destroy()
    this.ledger.close()
  }

  private everybody(): Client[] {
    const subscribers = this.subscribers.map(one => one.client)
    const shorts = this.shortSessions.map(one => one.client)
    return [...this.publishers, ...subscribers, ...this.wills, ...shorts, this.sentinel]
  }

  private client(clientId: string, level: 4 | 5, given: Partial<ClientOptions> = {}): Client {
    const client = new Client(this.world, clientOptions(clientId, level, given))
    client.onMessage = id => {
      this.figures.received++
      this.awaited.delete(id)
    }
    return client
  }

  private makeSubscribers(): Subscriber[] {
    const make = (
      client: Client,
      filters: Subscriber['filters'],
      more: Partial<Subscriber> = {},
    ): Subscriber => ({
      client,
      filters: [...filters, [`m/z/${client.clientId}`, 1]],
      dynamic: new Map(),
      dynamicQos: 1,
      away: 0.2,
      takesOver: false,
      ...more,
    })
    const dynamic = (): Map<string, boolean | undefined> =>
      new Map(Array.from({ length: DYNAMIC_FILTERS }, (_, k) => [`m/d/+/${k}`, false]))
    return [
      make(this.client('s0', 5, { receiveMaximum: 10, holds: 0.2 }), [
        ['m/a/#', 2],
        ['m/b/+/+', 2],
      ]),
      make(this.client('s1', 4), [['m/a/#', 1]], { takesOver: true }),
      make(this.client('s2', 5), [['m/b/+/+', 1]], { dynamic: dynamic(), dynamicQos: 2 }),
      make(this.client('s3', 4), [['m/b/+/+', 2]], { away: 0.9 }),
      make(this.client('s4', 5), [
        ['m/w/#', 2],
        ['m/r/#', 1],
      ]),
      make(this.client('s5', 4), [['m/a/#', 2]], { dynamic: dynamic(), takesOver: true }),
      make(this.client('g1', 5, { receiveMaximum: 5 }), [['$share/g/m/s/#', 2]]),
      make(this.client('g2', 5), [['$share/g/m/s/#', 2]], { away: 0.5 }),
    ]
  }

  private async mustConnect(client: Client): Promise<void> {
    for (let tries = 0; !client.ready; tries++) {
      if (tries > 20) {
        this.odd(`${client.clientId} cannot connect: code ${client.code}`)
        return
      }
      if (tries > 0) await delay(RETRY_MS)
      await client.connect(this.port)
    }
  }

  /** @returns false when the round is over */
  private async connected(client: Client): Promise<boolean> {
    while (!this.stopped && !client.ready) {
      if (!(await client.connect(this.port))) await delay(RETRY_MS)
    }
    return !this.stopped
  }

  private async publishing(client: Client): Promise<void> {
    const { chance } = this.world
    while (await this.connected(client)) {
      for (let burst = 1 + chance.below(6); burst > 0 && !this.stopped; burst--) {
        if (client.unfinishedCount < WINDOW) this.publishOne(client)
      }
      if (chance.happens(0.01)) client.destroy()
      if (chance.happens(0.01)) await client.disconnect()
      await delay(2 + chance.below(18))
    }
  }

  private publishOne(client: Client): void {
    const { chance } = this.world
    const area = chance.pick(AREAS)
    const place = area === 'r' ? RETAINED_TOPICS : DYNAMIC_FILTERS
    const topic = `m/${area}/${client.clientId}/${chance.below(place)}`
    const qos = chance.pick([0, 1, 1, 1, 2, 2, 2] as const)
    const isRetained = area === 'r'
    // One that clears has no payload to know it by: one per topic and round.
    const clears = isRetained && qos > 0 && chance.happens(0.1) && !this.clearedNow(topic)
    const expirySeconds = this.expiryOf(client, clears)
    this.send(client, topic, qos, { retain: isRetained, clears, expirySeconds })
  }

  private clearedNow(topic: string): boolean {
    return this.world.clears.get(topic)?.startsWith(`${this.round}.`) === true
  }

  private expiryOf(client: Client, clears: boolean): number {
    if (client.options.level === 4 || clears) return -1
    const { chance } = this.world
    if (chance.happens(0.05)) return 1
    return chance.happens(0.1) ? 3600 : -1
  }

  /** @returns its id */
  private send(
    client: Client,
    topic: string,
    qos: 0 | 1 | 2,
    more: Partial<Outgoing> = {},
  ): string {
    const id = `${this.round}.${client.clientId}.${++this.sequence}`
    const message = { id, topic, qos, retain: false, clears: false, expirySeconds: -1, ...more }
    if (client.publish(message)) this.figures.published++
    return id
  }

  private async subscribing(subscriber: Subscriber): Promise<void> {
    const { chance } = this.world
    const { client, dynamic, away, takesOver } = subscriber
    while (await this.connected(client)) {
      await this.pause(30 + chance.below(200))
      if (dynamic.size > 0) await this.changeSubscription(subscriber)
      if (takesOver && chance.happens(0.3)) await client.connect(this.port)
      if (!chance.happens(away)) continue
      if (chance.happens(0.5)) await client.disconnect()
      else client.destroy()
      await this.pause(20 + chance.below(away > 0.5 ? 600 : 150))
    }
  }

  private async changeSubscription(subscriber: Subscriber): Promise<void> {
    const { client, dynamic, dynamicQos } = subscriber
    const filter = this.world.chance.pick([...dynamic.keys()])
    const isOn = dynamic.get(filter)
    dynamic.set(filter, undefined)
    const known =
      isOn === true
        ? await client.unsubscribe(filter)
        : (await client.subscribe(filter, dynamicQos)) >= 0
    if (known) dynamic.set(filter, isOn !== true)
  }

  /** One with a will: breaks off, says goodbye, or is there when the broker dies. */
  private async dying(client: Client): Promise<void> {
    const { chance } = this.world
    const { clean, level, clientId } = client.options
    await this.pause(chance.below(300))
    if (this.stopped) return
    const delaySeconds = level === 5 && !clean && chance.happens(0.4) ? 1 : 0
    const id = `${this.round}.${clientId}.will`
    const qos = chance.pick([1, 2] as const)
    const will: LedgerWill = { id, topic: `m/w/${clientId}`, qos, delaySeconds }
    // It may come before the connection is known to have been let in.
    const expected = !clean
    if (expected) this.awaited.add(id)
    const ready = await client.connect(this.port, { will })
    if (!ready) this.awaited.delete(id)
    if (!ready || chance.happens(0.5)) return
    await this.pause(chance.below(600))
    if (this.stopped || !client.ready) return
    if (chance.happens(0.4)) {
      this.awaited.delete(id)
      await client.disconnect()
    } else client.destroy()
  }

  private async cleanSubscribing(): Promise<void> {
    const client = this.client('c0', 5, { clean: true })
    const { chance } = this.world
    while (!this.stopped) {
      if (await client.connect(this.port)) {
        await client.subscribe('m/a/#', 2)
        await this.pause(50 + chance.below(250))
      }
      if (chance.happens(0.5)) client.destroy()
      else await client.disconnect()
      await delay(RETRY_MS)
    }
    client.destroy()
  }

  /** A session that is kept for a second. */
  private async shortLiving(): Promise<void> {
    const { chance } = this.world
    const client = this.client(`x-${this.round}`, 5, { expirySeconds: 1 })
    await this.pause(chance.below(300))
    if (this.stopped || !(await client.connect(this.port))) return
    await this.pause(chance.below(300))
    if (!this.stopped && chance.happens(0.5)) await client.disconnect()
    this.shortSessions.push({ client, sinceMs: Date.now() })
  }

  /** Until the time is over, or the round. */
  private async pause(pauseMs: number): Promise<void> {
    await until(() => this.stopped, pauseMs)
  }

  /** What was asked for and not answered is asked again. */
  private async settleSubscriptions(): Promise<void> {
    for (const { client, dynamic, dynamicQos } of this.subscribers) {
      for (const [filter, state] of dynamic) {
        if (state !== undefined) continue
        const wanted = this.world.chance.happens(0.5)
        if (wanted) await client.subscribe(filter, dynamicQos)
        else await client.unsubscribe(filter)
        dynamic.set(filter, wanted)
      }
    }
  }

  /** Messages that show which subscriptions there are. */
  private async probe(): Promise<void> {
    for (const client of this.publishers) {
      for (let k = 0; k < DYNAMIC_FILTERS; k++) {
        this.send(client, `m/d/${client.clientId}/${k}`, k % 2 === 0 ? 1 : 2)
      }
      for (let i = 0; i < PROBES_PER_PUBLISHER; i++) {
        for (const area of ['a', 'b', 's'] as const) {
          this.send(client, `m/${area}/${client.clientId}/${i}`, i % 2 === 0 ? 2 : 1)
        }
      }
    }
    const finished = (): boolean => this.publishers.every(client => client.unfinishedCount === 0)
    if (!(await until(finished, this.patienceMs))) this.odd('a probe is not acknowledged')
  }

  /** Whatever is in a queue has come when a message that was published after it has. */
  private async drain(): Promise<void> {
    for (const { client } of this.subscribers) {
      this.awaited.add(this.send(this.sentinel, `m/z/${client.clientId}`, 1))
    }
    for (let i = 0; i < GROUP_SENTINELS; i++) {
      this.awaited.add(this.send(this.sentinel, 'm/s/z', 1))
    }
    await this.awaitAll('sentinels')
    // What a group gave to a member before may still be on its way.
    for (let i = 0; i < 2; i++) {
      await Promise.all(this.subscribers.map(({ client }) => client.ping()))
      await delay(RETRY_MS)
    }
    const idle = (): boolean => this.sentinel.unfinishedCount === 0
    if (!(await until(idle, this.patienceMs))) this.odd('the sentinel waits in vain for its end')
  }

  private async awaitAll(what: string): Promise<void> {
    if (await until(() => this.awaited.size === 0, this.patienceMs)) return
    this.odd(`${what} did not come: ${[...this.awaited].join(', ')}`)
    this.awaited.clear()
  }

  /** A fresh client looks at what is retained. */
  private async audit(): Promise<void> {
    const { ledger } = this
    // What it does is no part of the round; what it gets is entered as `kept`.
    const silent: LedgerSink = {
      add: entry => {
        if (entry.op === 'odd') ledger.add(entry)
      },
    }
    const auditor = new Client(
      { ...this.world, ledger: silent },
      clientOptions(`auditor-${++this.auditCount}`, 5, { clean: true, holds: 0 }),
    )
    await this.mustConnect(auditor)
    ledger.add({ op: 'audit' })
    let count = 0
    auditor.onMessage = (id, topic) => {
      count++
      ledger.add({ op: 'kept', topic, id })
    }
    await auditor.subscribe('m/r/#', 1)
    for (let seen = -1; seen !== count; ) {
      seen = count
      await auditor.ping()
      await delay(RETRY_MS)
      await auditor.ping()
    }
    ledger.add({ op: 'audited' })
    await auditor.disconnect()
  }

  /** Sessions that nobody needs any more go. */
  private async cleanUp(): Promise<void> {
    const enoughMs = 5000
    const old = this.shortSessions.filter(({ sinceMs }) => Date.now() - sinceMs > enoughMs)
    this.shortSessions = this.shortSessions.filter(one => !old.includes(one))
    for (const { client } of old) {
      await client.connect(this.port)
      await client.disconnect()
    }
    for (const client of [...this.wills, ...old.map(one => one.client)]) {
      await client.connect(this.port, { clean: true, expirySeconds: 0 })
      await client.disconnect()
    }
    this.wills = []
  }

  private odd(text: string): void {
    this.ledger.add({ op: 'odd', text })
  }
}
