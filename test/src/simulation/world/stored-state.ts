// What a store keeps, as plain maps, changed by records and read back at start. Written from the
// description of the Store port only, so that it is a second opinion on what the records mean.

import {
  InflightState,
  type StoredDelivery,
  type StoredEntry,
  type StoredMessage,
  type StoredPage,
  type StoredSession,
  type StoredSubscription,
  type StoredWill,
  type StoreReader,
} from '@godwit/broker/core/ports'

interface InflightEntry {
  readonly packetId: number
  readonly sequence: number
  readonly state: number
}

interface SessionState {
  session: StoredSession
  readonly subscriptions: Map<string, StoredSubscription>
  readonly queue: Map<number, StoredDelivery>
  readonly inflight: Map<number, InflightEntry>
  readonly received: Set<number>
  will: StoredWill | null
}

interface GroupState {
  readonly shareName: string
  readonly filter: string
  readonly queue: Map<number, StoredDelivery>
}

export class StoredState {
  readonly sessions: Map<number, SessionState> = new Map()
  readonly groups: Map<number, GroupState> = new Map()
  readonly messages: Map<number, StoredMessage> = new Map()
  readonly retained: Map<string, number> = new Map()

  putSession(session: StoredSession): void {
    const known = this.sessions.get(session.id)
    if (known !== undefined) known.session = session
    else {
      this.sessions.set(session.id, {
        session,
        subscriptions: new Map(),
        queue: new Map(),
        inflight: new Map(),
        received: new Set(),
        will: null,
      })
    }
  }

  removeSession(sessionId: number): void {
    this.sessions.delete(sessionId)
  }

  putSubscription(subscription: StoredSubscription): void {
    const { subscriptions } = this.#session(subscription.sessionId)
    subscriptions.set(subscription.filter, subscription)
  }

  removeSubscription(sessionId: number, filter: string): void {
    this.#session(sessionId).subscriptions.delete(filter)
  }

  putMessage(message: StoredMessage): void {
    this.messages.set(message.id, message)
  }

  putDelivery(delivery: StoredDelivery): void {
    this.#needMessage(delivery.messageId)
    this.#session(delivery.ownerId).queue.set(delivery.sequence, delivery)
  }

  removeDelivery(sessionId: number, sequence: number): void {
    const { queue, inflight } = this.#session(sessionId)
    queue.delete(sequence)
    for (const entry of inflight.values()) {
      if (entry.sequence === sequence) inflight.delete(entry.packetId)
    }
  }

  putInflight(sessionId: number, packetId: number, sequence: number, state: number): void {
    const { inflight } = this.#session(sessionId)
    if (state === InflightState.NONE) inflight.delete(packetId)
    else inflight.set(packetId, { packetId, sequence, state })
  }

  putReceived(sessionId: number, packetId: number): void {
    this.#session(sessionId).received.add(packetId)
  }

  removeReceived(sessionId: number, packetId: number): void {
    this.#session(sessionId).received.delete(packetId)
  }

  putRetained(topic: string, messageId: number): void {
    this.#needMessage(messageId)
    this.retained.set(topic, messageId)
  }

  removeRetained(topic: string): void {
    this.retained.delete(topic)
  }

  putWill(will: StoredWill): void {
    this.#needMessage(will.message.id)
    this.#session(will.sessionId).will = will
  }

  removeWill(sessionId: number): void {
    this.#session(sessionId).will = null
  }

  putGroup(groupId: number, shareName: string, filter: string): void {
    if (this.groups.has(groupId)) throw new Error(`group ${groupId} is put twice`)
    this.groups.set(groupId, { shareName, filter, queue: new Map() })
  }

  removeGroup(groupId: number): void {
    this.groups.delete(groupId)
  }

  putGroupDelivery(delivery: StoredDelivery): void {
    this.#needMessage(delivery.messageId)
    this.#group(delivery.ownerId).queue.set(delivery.sequence, delivery)
  }

  removeGroupDelivery(groupId: number, sequence: number): void {
    this.#group(groupId).queue.delete(sequence)
  }

  /** All has been read: messages that nothing refers to are gone. */
  sweep(): void {
    const used = new Set(this.retained.values())
    for (const { queue, will } of this.sessions.values()) {
      for (const delivery of queue.values()) used.add(delivery.messageId)
      if (will !== null) used.add(will.message.id)
    }
    for (const { queue } of this.groups.values()) {
      for (const delivery of queue.values()) used.add(delivery.messageId)
    }
    for (const id of this.messages.keys()) if (!used.has(id)) this.messages.delete(id)
  }

  /** In the order of the port's description. */
  load(reader: StoreReader): void {
    const sessions = [...this.sessions.values()]
    for (const { session } of sessions) reader.session(session)
    for (const { subscriptions } of sessions) {
      for (const subscription of subscriptions.values()) reader.subscription(subscription)
    }
    for (const { session, queue } of sessions) {
      const own = inOrder(queue)
      const bytes = own.reduce((sum, one) => sum + one.byteLength, 0)
      if (own.length > 0) reader.backlog(session.id, own.length, bytes, own.at(-1)?.sequence ?? 0)
    }
    for (const { session, will } of sessions) {
      if (will === null) continue
      const { frame } = this.#message(will.message.id)
      reader.will(session.id, will.fireAtMs, frame.length)
    }
    for (const id of this.retained.values()) reader.retained(this.#message(id))
    for (const [id, { shareName, filter }] of this.groups) reader.group(id, shareName, filter)
    for (const { queue } of this.groups.values()) {
      for (const one of inOrder(queue)) reader.groupDelivery(one, this.#message(one.messageId))
    }
    reader.messageIdMax(Math.max(0, ...this.messages.keys()))
  }

  /** A process has begun: connections of the one before have ended. */
  disconnectAll(wallMs: number): void {
    for (const state of this.sessions.values()) {
      const { session, will } = state
      if (session.disconnectedAtMs === 0) state.session = { ...session, disconnectedAtMs: wallMs }
      if (will === null || will.fireAtMs !== 0) continue
      state.will = { ...will, fireAtMs: wallMs + will.delaySeconds * 1000 }
    }
  }

  /** A part of a session, as the port describes it. */
  page(
    ticket: number,
    sessionId: number,
    fromSequence: number,
    messagesMax: number,
    bytesMax: number,
  ): StoredPage {
    const state = this.sessions.get(sessionId)
    const entries: StoredEntry[] = []
    if (state === undefined) return { ticket, entries, received: [], will: null }
    const inflight = new Map([...state.inflight.values()].map(one => [one.sequence, one]))
    let waiting = 0
    let bytes = 0
    for (const delivery of inOrder(state.queue)) {
      if (delivery.sequence < fromSequence) continue
      const sent = inflight.get(delivery.sequence)
      if (sent === undefined) {
        if (waiting >= messagesMax || (waiting > 0 && bytes >= bytesMax)) break
        waiting++
      }
      bytes += delivery.byteLength
      const message = this.#message(delivery.messageId)
      const { packetId, state: inState } = sent ?? { packetId: 0, state: 0 }
      entries.push({ delivery, message, packetId, state: inState })
    }
    const isFirst = fromSequence === 0
    const received = isFirst ? [...state.received] : []
    const { will } = state
    if (!isFirst || will === null) return { ticket, entries, received, will: null }
    // The record of a will names its message only.
    const message = this.#message(will.message.id)
    return { ticket, entries, received, will: { ...will, message } }
  }

  /** How much there is of each kind. */
  census(): Readonly<Record<string, number>> {
    const { sessions, groups, messages, retained } = this
    return {
      storedSessions: sessions.size,
      storedGroups: groups.size,
      storedMessages: messages.size,
      storedRetained: retained.size,
    }
  }

  #message(id: number): StoredMessage {
    const message = this.messages.get(id)
    if (message === undefined) throw new Error(`message ${id} is used and was never put`)
    return message
  }

  #needMessage(id: number): void {
    this.#message(id)
  }

  #session(id: number): SessionState {
    const state = this.sessions.get(id)
    if (state === undefined) throw new Error(`session ${id} is used and was never put`)
    return state
  }

  #group(id: number): GroupState {
    const state = this.groups.get(id)
    if (state === undefined) throw new Error(`group ${id} is used and was never put`)
    return state
  }
}

function inOrder(queue: ReadonlyMap<number, StoredDelivery>): StoredDelivery[] {
  return [...queue.values()].toSorted((a, b) => a.sequence - b.sequence)
}
