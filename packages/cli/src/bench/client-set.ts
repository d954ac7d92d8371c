// The clients of one process: what each sends and should receive, and the sum of what arrived.

import { tell } from '../output/streams.ts'
import { Client, type ClientHost, type ClientSettings } from './client.ts'
import type { SentTable } from './engine-reports.ts'
import { FrameSource } from './frames.ts'
import { PayloadCheck } from './payload-check.ts'
import type { ClientPlan, Plan, Role } from './plan.ts'
import { Random } from './random.ts'
import type { LoadSettings } from './settings.ts'
import { type Delivery, NO_DELIVERY, StreamChecks, sumOf } from './verdict.ts'

/** A client with all that belongs to it. */
export interface Member {
  readonly client: Client
  readonly plan: ClientPlan
  readonly role: Role
  readonly source: FrameSource | null
  /** null: what it receives is not judged. */
  readonly checks: StreamChecks | null
  /** Of a publisher: how many deliveries in this process make up one message. */
  receivers: number
  /** Of a publisher in a closed loop: deliveries of the message that is not complete. */
  deliveries: number
}

const SEED_OF_SOURCES = 1000

export class ClientSet {
  readonly members: readonly Member[]
  /** Those that publish by themselves. */
  readonly publishers: readonly Member[]
  /** By stream; undefined where another process publishes. */
  readonly publisherOf: readonly (Member | undefined)[]
  /** By index of the plan. */
  readonly byIndex: readonly (Member | undefined)[]
  /** Publishers in all processes. */
  readonly publisherTotal: number
  readonly payloadCheck: PayloadCheck
  private readonly settings: LoadSettings
  private readonly streams: number

  constructor(settings: LoadSettings, plan: Plan, worker: number, run: number, host: ClientHost) {
    this.settings = settings
    this.streams = plan.streams
    const shared = new Map<string, StreamChecks>()
    const mine = plan.clients.filter(one => one.worker === worker)
    this.payloadCheck = new PayloadCheck(settings.payload, settings.plain, topicsOf(plan))
    const client = clientSettings(settings, run, this.payloadCheck)
    this.members = mine.map(one => memberOf(one, settings, client, run, host, shared))
    this.publishers = this.members.filter(({ role }) => publishes(role))
    this.publisherTotal = plan.clients.filter(({ role }) => publishes(role)).length
    const publisherOf: (Member | undefined)[] = new Array(plan.streams).fill(undefined)
    const byIndex: (Member | undefined)[] = new Array(plan.clients.length).fill(undefined)
    for (const member of this.members) byIndex[member.plan.index] = member
    for (const member of this.publishers) {
      const { streamFrom, topics } = member.plan
      publisherOf.fill(member, streamFrom, streamFrom + topics.length)
      member.receivers = receiversOf(member, this.members)
    }
    this.publisherOf = publisherOf
    this.byIndex = byIndex
  }

  sentTable(): SentTable {
    const table = new Uint32Array(this.streams)
    for (const { source, plan } of this.members) {
      if (source !== null) table.set(source.sequences, plan.streamFrom)
    }
    return table
  }

  get sentCount(): number {
    return this.members.reduce((sum, { client }) => sum + client.sent, 0)
  }

  get packetBytesMax(): number {
    return this.members.reduce((most, { source }) => Math.max(most, source?.packetBytesMax ?? 0), 0)
  }

  get unacknowledged(): number {
    return this.members.reduce((sum, { client }) => sum + client.unacknowledged, 0)
  }

  get connections(): number {
    return this.members.reduce((sum, { client }) => sum + (client.isReady ? 1 : 0), 0)
  }

  get forgottenGaps(): number {
    return this.members.reduce((sum, { checks }) => sum + (checks?.forgottenGaps ?? 0), 0)
  }

  /** @param received how many arrived; for messages without a header there is only this count */
  deliveryOf(sent: SentTable, received: number): Delivery {
    if (this.settings.plain) return this.countedDelivery(sent, received)
    return sumOf(
      this.judged().map(({ checks, plan }) => {
        const delivery = checks?.delivery(sent) ?? NO_DELIVERY
        // Among the members of a group nobody promises an order.
        return plan.isShared ? { ...delivery, reordered: 0 } : delivery
      }),
    )
  }

  private countedDelivery(sent: SentTable, received: number): Delivery {
    let expected = 0
    let damaged = 0
    let otherQoS = 0
    for (const { plan, checks } of this.judged()) {
      damaged += checks?.damaged ?? 0
      otherQoS += checks?.otherQoS ?? 0
      for (let i = 0; i < plan.receivesCount; i++) expected += sent[plan.receivesFrom + i] ?? 0
    }
    const lost = Math.max(0, expected - received)
    const duplicated = Math.max(0, received - expected)
    const counts = { expected, received: received - duplicated, lost, duplicated }
    return { ...NO_DELIVERY, ...counts, damaged, otherQoS }
  }

  /** Receivers; of a shared subscription only one, since its members share their checks. */
  private judged(): Member[] {
    const seen = new Set<StreamChecks>()
    return this.members.filter(({ checks, plan }) => {
      if (checks === null || plan.receivesCount === 0 || seen.has(checks)) return false
      seen.add(checks)
      return true
    })
  }
}

/** By stream. */
function topicsOf({ clients }: Plan): string[] {
  const topics: string[] = []
  for (const one of clients) {
    for (let i = 0; i < one.topics.length; i++) topics[one.streamFrom + i] = one.topics[i] ?? ''
  }
  return topics
}

function publishes(role: Role): boolean {
  return role === 'publisher' || role === 'asker'
}

function memberOf(
  plan: ClientPlan,
  settings: LoadSettings,
  client: ClientSettings,
  run: number,
  host: ClientHost,
  shared: Map<string, StreamChecks>,
): Member {
  const { clientIdPrefix, startNumber } = settings.connection
  const source = plan.topics.length === 0 ? null : sourceOf(plan, settings, run)
  const id = `${clientIdPrefix}${startNumber + plan.index}`
  return {
    client: new Client(plan.index, id, client, host, source),
    plan,
    role: plan.role,
    source,
    checks: plan.isSlow ? null : checksOf(plan, shared),
    receivers: 0,
    deliveries: 0,
  }
}

function clientSettings(
  settings: LoadSettings,
  run: number,
  payloadCheck: PayloadCheck,
): ClientSettings {
  const { level, keepAliveSeconds, username, password, dump } = settings.connection
  return {
    level,
    qos: settings.qos,
    run,
    keepAliveSeconds,
    username,
    password,
    inflightMax: settings.inflightMax,
    keepsSession: settings.keepsSession,
    takesRetained: settings.retainedMessages > 0,
    dump: dump ? tell : null,
    payloadCheck,
  }
}

function sourceOf(plan: ClientPlan, settings: LoadSettings, run: number): FrameSource {
  const isRetained = settings.retainedMessages > 0
  const random = new Random(settings.seed).fork(SEED_OF_SOURCES + plan.index)
  return new FrameSource(
    {
      level: settings.connection.level,
      qos: settings.qos,
      retain: settings.retain || isRetained,
      topics: plan.topics,
      streamFrom: plan.streamFrom,
      inTurn: isRetained,
      payload: settings.payload,
      plain: settings.plain,
      run,
      client: plan.index,
    },
    random,
  )
}

function checksOf(plan: ClientPlan, shared: Map<string, StreamChecks>): StreamChecks {
  const key = plan.filters[0] ?? ''
  const checks = shared.get(key) ?? new StreamChecks(plan.receivesFrom, plan.receivesCount)
  if (plan.isShared) shared.set(key, checks)
  return checks
}

/** Only what arrives in the same process can open the window of a publisher. */
function receiversOf(publisher: Member, members: readonly Member[]): number {
  const stream = publisher.plan.streamFrom
  const receivers = members.filter(
    ({ plan, checks }) =>
      checks !== null &&
      stream >= plan.receivesFrom &&
      stream < plan.receivesFrom + plan.receivesCount,
  )
  return receivers.some(({ plan }) => plan.isShared) ? 1 : receivers.length
}
