// What the store must hold after a sequence of records, by the plainest means: the model that the
// real one is compared with. It also writes random records that a core could have written.

import assert from 'node:assert/strict'
import type {
  Store,
  StoredDelivery,
  StoredMessage,
  StoredPage,
  StoredSession,
  StoredSubscription,
  StoredWill,
  StoreReader,
} from '../../core/ports.ts'
import type { RecordSink } from '../record-writer.ts'
import type { SeededRandom } from './random.ts'

interface Owned {
  readonly delivery: StoredDelivery
  inflight: { readonly packetId: number; readonly state: number } | null
}

export class Model implements RecordSink {
  readonly sessions: Map<number, StoredSession> = new Map()
  readonly subscriptions: Map<string, StoredSubscription> = new Map()
  readonly messages: Map<number, StoredMessage> = new Map()
  readonly queues: Map<string, Owned> = new Map()
  readonly groupQueues: Map<string, Owned> = new Map()
  readonly received: Map<string, readonly [number, number]> = new Map()
  readonly retained: Map<string, number> = new Map()
  readonly wills: Map<number, StoredWill> = new Map()
  readonly groups: Map<number, readonly [string, string]> = new Map()

  putSession(session: StoredSession): void {
    this.sessions.set(session.id, session)
  }
  removeSession(id: number): void {
    this.sessions.delete(id)
    this.wills.delete(id)
    for (const [key, one] of this.subscriptions) {
      if (one.sessionId === id) this.subscriptions.delete(key)
    }
    for (const [key, { delivery }] of this.queues) {
      if (delivery.ownerId === id) this.queues.delete(key)
    }
    for (const [key, one] of this.received) if (one[0] === id) this.received.delete(key)
  }
  putSubscription(one: StoredSubscription): void {
    this.subscriptions.set(`${one.sessionId} ${one.filter}`, one)
  }
  removeSubscription(sessionId: number, filter: string): void {
    this.subscriptions.delete(`${sessionId} ${filter}`)
  }
  putMessage(message: StoredMessage): void {
    this.messages.set(message.id, message)
  }
  putDelivery(delivery: StoredDelivery): void {
    this.queues.set(`${delivery.ownerId} ${delivery.sequence}`, { delivery, inflight: null })
  }
  removeDelivery(sessionId: number, sequence: number): void {
    this.queues.delete(`${sessionId} ${sequence}`)
  }
  putInflight(sessionId: number, packetId: number, sequence: number, state: number): void {
    const owned = this.queues.get(`${sessionId} ${sequence}`)
    if (owned !== undefined) owned.inflight = state === 0 ? null : { packetId, state }
  }
  putReceived(sessionId: number, packetId: number): void {
    this.received.set(`${sessionId} ${packetId}`, [sessionId, packetId])
  }
  removeReceived(sessionId: number, packetId: number): void {
    this.received.delete(`${sessionId} ${packetId}`)
  }
  putRetained(topic: string, messageId: number): void {
    this.retained.set(topic, messageId)
  }
  removeRetained(topic: string): void {
    this.retained.delete(topic)
  }
  putWill(will: StoredWill): void {
    this.wills.set(will.sessionId, will)
  }
  removeWill(sessionId: number): void {
    this.wills.delete(sessionId)
  }
  putGroup(groupId: number, shareName: string, filter: string): void {
    this.groups.set(groupId, [shareName, filter])
  }
  removeGroup(groupId: number): void {
    this.groups.delete(groupId)
    for (const [key, { delivery }] of this.groupQueues) {
      if (delivery.ownerId === groupId) this.groupQueues.delete(key)
    }
  }
  putGroupDelivery(delivery: StoredDelivery): void {
    this.groupQueues.set(`${delivery.ownerId} ${delivery.sequence}`, { delivery, inflight: null })
  }
  removeGroupDelivery(groupId: number, sequence: number): void {
    this.groupQueues.delete(`${groupId} ${sequence}`)
  }

  /** Messages that something refers to. */
  referenced(): Set<number> {
    const ids = new Set<number>(this.retained.values())
    for (const { delivery } of this.queues.values()) ids.add(delivery.messageId)
    for (const { delivery } of this.groupQueues.values()) ids.add(delivery.messageId)
    for (const { message } of this.wills.values()) ids.add(message.id)
    return ids
  }

  /** One line per fact, sorted: two states are the same when these are. */
  facts(): string[] {
    const lines: string[] = []
    for (const one of this.sessions.values()) lines.push(`session ${sessionFacts(one)}`)
    for (const one of this.subscriptions.values()) {
      lines.push(`subscription ${one.sessionId} ${one.filter} ${one.options} ${one.identifier}`)
    }
    for (const owned of this.queues.values()) lines.push(`queue ${this.ownedFacts(owned)}`)
    for (const owned of this.groupQueues.values()) lines.push(`group ${this.ownedFacts(owned)}`)
    for (const [id, packetId] of this.received.values()) lines.push(`received ${id} ${packetId}`)
    for (const [topic, id] of this.retained) {
      lines.push(`retained ${topic} ${this.messageFacts(id)}`)
    }
    for (const will of this.wills.values()) {
      const { sessionId, delaySeconds, expirySeconds, fireAtMs, user } = will
      const at = fireAtMs === FIRE_AT_MS ? 'then' : 'from the start'
      const numbers = `${delaySeconds} ${expirySeconds} ${at} ${JSON.stringify(user)}`
      lines.push(`will ${sessionId} ${numbers} ${this.messageFacts(will.message.id)}`)
    }
    for (const [id, [name, filter]] of this.groups) lines.push(`share ${id} ${name} ${filter}`)
    return lines.toSorted()
  }

  private ownedFacts({ delivery, inflight }: Owned): string {
    const { ownerId, sequence, byteLength, messageId, flags, identifiers } = delivery
    const state = inflight === null ? 'waits' : `${inflight.packetId}/${inflight.state}`
    const names = identifiers?.join() ?? '-'
    const numbers = `${ownerId} ${sequence} ${byteLength} ${flags}`
    return `${numbers} ${names} ${state} ${this.messageFacts(messageId)}`
  }

  private messageFacts(id: number): string {
    const message = this.messages.get(id)
    assert.ok(message !== undefined, `message ${id} is missing`)
    const { protocolLevel, expiresAtMs, publisher, frame } = message
    const bytes = Buffer.from(frame).toString('hex')
    return `${id}:${protocolLevel}:${expiresAtMs}:${publisher}:${bytes}`
  }
}

function sessionFacts(one: StoredSession): string {
  const { id, clientId, protocolLevel, sessionExpirySeconds } = one
  const at = one.disconnectedAtMs === DISCONNECTED_AT_MS ? 'then' : 'at the start'
  return `${id} ${clientId} ${protocolLevel} ${sessionExpirySeconds} ${at}`
}

/** Wall times that `RandomRecords` writes. A session that was connected gets that of the start. */
const DISCONNECTED_AT_MS = 1_790_000_000_000
const FIRE_AT_MS = 1_790_000_000_002

/** Takes what a store gives back at start into a model of its own; queues have to be fetched. */
export function modelReader(model: Model): StoreReader & { readonly backlogs: Backlogs } {
  const backlogs: Backlogs = new Map()
  return {
    backlogs,
    session: one => model.putSession(one),
    subscription: one => model.putSubscription(one),
    backlog: (id, messages, bytes, sequenceMax) => {
      backlogs.set(id, { messages, bytes, sequenceMax })
    },
    will: () => undefined,
    retained: one => {
      model.putMessage(one)
      model.putRetained(topicOf(one), one.id)
    },
    group: (id, name, filter) => model.putGroup(id, name, filter),
    groupDelivery: (one, message) => {
      model.putMessage(message)
      model.putGroupDelivery(one)
    },
    messageIdMax: () => undefined,
  }
}

type Backlogs = Map<
  number,
  { readonly messages: number; readonly bytes: number; readonly sequenceMax: number }
>

/** Asks for a page and gives the answer. */
export type Fetcher = (sessionId: number, from: number, messagesMax: number) => Promise<StoredPage>

/** All that the store has, by `load` and by the pages of every session. */
export async function readAll(store: Store, fetch: Fetcher, pageMax: number): Promise<Model> {
  const model = new Model()
  const reader = modelReader(model)
  store.load(reader)
  for (const { id } of [...model.sessions.values()]) {
    let count = 0
    let bytes = 0
    let last = 0
    for (let from = 0; ; ) {
      const page = await fetch(id, from, pageMax)
      for (const { delivery, message, packetId, state } of page.entries) {
        assert.ok(delivery.sequence >= from, 'pages do not overlap')
        from = delivery.sequence + 1
        model.putMessage(message)
        model.putDelivery(delivery)
        if (packetId !== 0) model.putInflight(id, packetId, delivery.sequence, state)
        count++
        bytes += delivery.byteLength
        last = delivery.sequence
      }
      for (const packetId of page.received) model.putReceived(id, packetId)
      if (page.will !== null) {
        model.putMessage(page.will.message)
        model.putWill(page.will)
      }
      if (page.entries.length === 0) break
    }
    const expected = count === 0 ? undefined : { messages: count, bytes, sequenceMax: last }
    assert.deepEqual(reader.backlogs.get(id), expected, `the backlog of session ${id}`)
  }
  return model
}

/** Of a frame that `RandomRecords` has made. */
function topicOf(message: StoredMessage): string {
  return Buffer.from(message.frame.subarray(1, 1 + (message.frame[0] ?? 0))).toString()
}

/** Writes to all `sinks` what a core could: every reference is to something that is there. */
export class RandomRecords {
  private readonly random: SeededRandom
  private readonly sinks: readonly RecordSink[]
  private readonly model: Model
  private nextId = 1
  private nextSequence = 1

  /** @param model is one of the sinks, or is kept up to date by other means */
  constructor(random: SeededRandom, model: Model, sinks: readonly RecordSink[]) {
    this.random = random
    this.model = model
    this.sinks = sinks
    for (const map of [model.sessions, model.messages, model.groups]) {
      for (const id of map.keys()) this.nextId = Math.max(this.nextId, id + 1)
    }
    for (const { delivery } of [...model.queues.values(), ...model.groupQueues.values()]) {
      this.nextSequence = Math.max(this.nextSequence, delivery.sequence + 1)
    }
  }

  /** The records of one thing that happens. */
  step(): void {
    const { random, model } = this
    const session = this.pick([...model.sessions.keys()])
    const choice = random.below(20)
    if (session === undefined || choice === 0) return this.putSession()
    const owned = this.pick([...model.queues.values()])
    if (choice < 8) this.publish()
    else if (choice < 12 && owned !== undefined) this.acknowledge(owned)
    else if (choice === 12) this.retain()
    else if (choice === 13) this.changeSubscription(session)
    else if (choice === 14) this.changeReceived(session)
    else if (choice === 15) this.changeWill(session)
    else if (choice === 16) this.changeGroup()
    else if (choice === 17) this.each(sink => sink.removeSession(session))
    else if (choice === 18) this.takeFromGroup(session)
    else this.putSession(session)
  }

  private each(call: (sink: RecordSink) => void): void {
    for (const sink of this.sinks) call(sink)
  }

  private pick<T>(values: readonly T[]): T | undefined {
    return values.length === 0 ? undefined : values[this.random.below(values.length)]
  }

  private putSession(id = this.nextId++): void {
    const session = {
      id,
      clientId: `client-${id}`,
      protocolLevel: this.pick([3, 4, 5] as const) ?? 5,
      sessionExpirySeconds: this.pick([1, 60, 0xffff_ffff]) ?? 1,
      disconnectedAtMs: this.pick([0, DISCONNECTED_AT_MS]) ?? 0,
    }
    this.each(sink => sink.putSession(session))
  }

  private message(topic = `t/${this.random.below(5)}`): StoredMessage {
    const name = Buffer.from(topic)
    const filler = Buffer.alloc(this.random.chance(0.1) ? this.random.below(3000) : 5, 7)
    const message: StoredMessage = {
      id: this.nextId++,
      frame: Buffer.concat([Buffer.of(name.length), name, filler]),
      protocolLevel: this.pick([4, 5] as const) ?? 5,
      expiresAtMs: this.pick([0, 1_790_000_000_001]) ?? 0,
      publisher: 'publisher',
    }
    this.each(sink => sink.putMessage(message))
    return message
  }

  private publish(): void {
    const ids = [...this.model.sessions.keys()]
    const message = this.message()
    const count = 1 + this.random.below(this.random.chance(0.2) ? ids.length : 1)
    for (const ownerId of ids.slice(0, count)) this.enqueue(ownerId, message.id)
    const group = this.pick([...this.model.groups.keys()])
    if (group === undefined || this.random.chance(0.7)) return
    const delivery = this.delivery(group, message.id)
    this.each(sink => sink.putGroupDelivery(delivery))
  }

  private delivery(ownerId: number, messageId: number): StoredDelivery {
    const flags = 1 + this.random.below(2) + (this.random.chance(0.1) ? 4 : 0)
    const identifiers = this.random.chance(0.1) ? [1, this.random.below(9999)] : null
    const byteLength = this.model.messages.get(messageId)?.frame.length ?? 0
    const sequence = this.nextSequence++
    return { ownerId, sequence, byteLength, messageId, flags, identifiers }
  }

  private enqueue(ownerId: number, messageId: number): void {
    const delivery = this.delivery(ownerId, messageId)
    this.each(sink => sink.putDelivery(delivery))
    if (!this.random.chance(0.6)) return
    const packetId = delivery.sequence % 65_535
    const state = 1 + this.random.below(2)
    this.each(sink => sink.putInflight(ownerId, packetId, delivery.sequence, state))
    if (this.random.chance(0.6)) this.each(sink => sink.removeDelivery(ownerId, delivery.sequence))
  }

  private acknowledge({ delivery, inflight }: Owned): void {
    const { ownerId, sequence } = delivery
    if (inflight?.state === 2 && this.random.chance(0.5)) {
      this.each(sink => sink.putInflight(ownerId, inflight.packetId, sequence, 3))
    } else this.each(sink => sink.removeDelivery(ownerId, sequence))
  }

  private retain(): void {
    const topic = `t/${this.random.below(5)}`
    if (this.random.chance(0.3)) {
      this.each(sink => sink.removeRetained(topic))
      return
    }
    const { id } = this.message(topic)
    this.each(sink => sink.putRetained(topic, id))
    const session = this.pick([...this.model.sessions.keys()])
    // A subscriber gets the retained message.
    if (session !== undefined && this.random.chance(0.5)) this.enqueue(session, id)
  }

  private changeSubscription(sessionId: number): void {
    const filter = this.pick(['a', 'b/+', '$share/g/c/#']) ?? 'a'
    if (this.random.chance(0.3)) this.each(sink => sink.removeSubscription(sessionId, filter))
    else {
      const one = { sessionId, filter, options: this.random.below(64), identifier: 7 }
      this.each(sink => sink.putSubscription(one))
    }
  }

  private changeReceived(sessionId: number): void {
    const packetId = 1 + this.random.below(4)
    if (this.random.chance(0.5)) this.each(sink => sink.putReceived(sessionId, packetId))
    else this.each(sink => sink.removeReceived(sessionId, packetId))
  }

  private changeWill(sessionId: number): void {
    if (this.random.chance(0.4)) return this.each(sink => sink.removeWill(sessionId))
    const message = this.message()
    const fireAtMs = this.pick([0, FIRE_AT_MS]) ?? 0
    const user = this.pick([null, { username: null }, { username: '' }, { username: 'ann' }])
    const times = { delaySeconds: 3, expirySeconds: -1, fireAtMs }
    const will = { sessionId, message, ...times, user: user ?? null }
    this.each(sink => sink.putWill(will))
  }

  private changeGroup(): void {
    const id = this.pick([...this.model.groups.keys()])
    if (id !== undefined && this.random.chance(0.4)) {
      this.each(sink => sink.removeGroup(id))
      return
    }
    const groupId = this.nextId++
    this.each(sink => sink.putGroup(groupId, 'share', `f/${groupId}`))
  }

  private takeFromGroup(sessionId: number): void {
    const owned = this.pick([...this.model.groupQueues.values()])
    if (owned === undefined) return this.publish()
    const { ownerId, sequence, messageId } = owned.delivery
    this.enqueue(sessionId, messageId)
    this.each(sink => sink.removeGroupDelivery(ownerId, sequence))
  }
}
