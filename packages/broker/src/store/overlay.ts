// The net effect of the records since the last checkpoint. What came and went in between leaves no
// trace here, so it never costs the database anything. Counts the records that refer to a message.

import type {
  StoredDelivery,
  StoredMessage,
  StoredSession,
  StoredSubscription,
  StoredWill,
} from '../core/ports.ts'
import { InflightState } from '../core/ports.ts'
import type { RecordSink } from './record-writer.ts'

/** A message in a queue, with its state in flight. */
export interface QueueEntry {
  readonly delivery: StoredDelivery
  packetId: number
  state: number
}

/** Null: a row of the database that has to go. */
export type QueueChanges = Map<number, QueueEntry | null>

export interface InflightChange {
  readonly packetId: number
  readonly state: number
}

/** A message that was put since the checkpoint, and how many records since then refer to it. */
interface NewMessage {
  readonly message: StoredMessage
  references: number
}

const ENTRY_WEIGHT = 200

export class Overlay implements RecordSink {
  readonly sessions: Map<number, StoredSession> = new Map()
  /** To be removed with all they have, before anything else is applied. */
  readonly removedSessions: Set<number> = new Set()
  readonly subscriptions: Map<number, Map<string, StoredSubscription | null>> = new Map()
  readonly messages: Map<number, NewMessage> = new Map()
  readonly queues: Map<number, QueueChanges> = new Map()
  readonly groupQueues: Map<number, QueueChanges> = new Map()
  /** For rows of the database, by session and sequence. */
  readonly inflight: Map<number, Map<number, InflightChange>> = new Map()
  readonly received: Map<number, Map<number, boolean>> = new Map()
  /** 0: removed. */
  readonly retained: Map<string, number> = new Map()
  readonly wills: Map<number, StoredWill | null> = new Map()
  readonly groups: Map<number, { readonly shareName: string; readonly filter: string }> = new Map()
  readonly removedGroups: Set<number> = new Set()
  /** By how much the references to messages in the database have changed. */
  readonly referenceChanges: Map<number, number> = new Map()
  /** Bytes of heap, roughly. */
  weight = 0
  /** Messages that nothing refers to any more, unless the rest of the batch does. */
  private unreferenced: number[] = []

  get empty(): boolean {
    return this.weight === 0
  }

  /** The records of one batch have been applied: what they left without reference is gone. */
  endBatch(): void {
    for (const id of this.unreferenced) {
      const known = this.messages.get(id)
      if (known === undefined || known.references > 0) continue
      this.messages.delete(id)
      this.weight -= known.message.frame.length + ENTRY_WEIGHT
    }
    this.unreferenced = []
  }

  clear(): void {
    const { sessions, subscriptions, messages, queues, groupQueues, inflight } = this
    const { received, retained, wills, groups, referenceChanges } = this
    for (const map of [sessions, subscriptions, messages, queues, groupQueues, inflight])
      map.clear()
    for (const map of [received, retained, wills, groups, referenceChanges]) map.clear()
    this.removedSessions.clear()
    this.removedGroups.clear()
    this.weight = 0
  }

  putSession(session: StoredSession): void {
    this.sessions.set(session.id, session)
    this.weight += ENTRY_WEIGHT
  }

  removeSession(sessionId: number): void {
    this.dropQueue(this.queues, sessionId)
    const will = this.wills.get(sessionId)
    if (will) this.release(will.message.id)
    this.sessions.delete(sessionId)
    this.subscriptions.delete(sessionId)
    this.inflight.delete(sessionId)
    this.received.delete(sessionId)
    this.wills.delete(sessionId)
    this.removedSessions.add(sessionId)
    this.weight += ENTRY_WEIGHT
  }

  putSubscription(subscription: StoredSubscription): void {
    innerMap(this.subscriptions, subscription.sessionId).set(subscription.filter, subscription)
    this.weight += ENTRY_WEIGHT
  }

  removeSubscription(sessionId: number, filter: string): void {
    innerMap(this.subscriptions, sessionId).set(filter, null)
    this.weight += ENTRY_WEIGHT
  }

  putMessage(message: StoredMessage): void {
    this.messages.set(message.id, { message, references: 0 })
    // If nothing comes to refer to it within its batch, nothing ever will.
    this.unreferenced.push(message.id)
    this.weight += message.frame.length + ENTRY_WEIGHT
  }

  putDelivery(delivery: StoredDelivery): void {
    this.putEntry(this.queues, delivery)
  }

  removeDelivery(sessionId: number, sequence: number): void {
    this.inflight.get(sessionId)?.delete(sequence)
    this.removeEntry(this.queues, sessionId, sequence)
  }

  putInflight(sessionId: number, packetId: number, sequence: number, state: number): void {
    const id = state === InflightState.NONE ? 0 : packetId
    const entry = this.queues.get(sessionId)?.get(sequence)
    if (entry === null) return
    if (entry === undefined) {
      innerMap(this.inflight, sessionId).set(sequence, { packetId: id, state })
      this.weight += ENTRY_WEIGHT
    } else {
      entry.packetId = id
      entry.state = state
    }
  }

  putReceived(sessionId: number, packetId: number): void {
    innerMap(this.received, sessionId).set(packetId, true)
    this.weight += ENTRY_WEIGHT
  }

  removeReceived(sessionId: number, packetId: number): void {
    innerMap(this.received, sessionId).set(packetId, false)
    this.weight += ENTRY_WEIGHT
  }

  putRetained(topic: string, messageId: number): void {
    const before = this.retained.get(topic) ?? 0
    this.retain(messageId)
    this.retained.set(topic, messageId)
    if (before !== 0) this.release(before)
    this.weight += ENTRY_WEIGHT
  }

  removeRetained(topic: string): void {
    const before = this.retained.get(topic) ?? 0
    this.retained.set(topic, 0)
    if (before !== 0) this.release(before)
    this.weight += ENTRY_WEIGHT
  }

  putWill(will: StoredWill): void {
    const before = this.wills.get(will.sessionId)
    this.retain(will.message.id)
    this.wills.set(will.sessionId, will)
    if (before) this.release(before.message.id)
    this.weight += ENTRY_WEIGHT
  }

  removeWill(sessionId: number): void {
    const before = this.wills.get(sessionId)
    this.wills.set(sessionId, null)
    if (before) this.release(before.message.id)
    this.weight += ENTRY_WEIGHT
  }

  putGroup(groupId: number, shareName: string, filter: string): void {
    this.groups.set(groupId, { shareName, filter })
    this.weight += ENTRY_WEIGHT
  }

  removeGroup(groupId: number): void {
    this.dropQueue(this.groupQueues, groupId)
    this.groups.delete(groupId)
    this.removedGroups.add(groupId)
    this.weight += ENTRY_WEIGHT
  }

  putGroupDelivery(delivery: StoredDelivery): void {
    this.putEntry(this.groupQueues, delivery)
  }

  removeGroupDelivery(groupId: number, sequence: number): void {
    this.removeEntry(this.groupQueues, groupId, sequence)
  }

  private putEntry(queues: Map<number, QueueChanges>, delivery: StoredDelivery): void {
    const entry = { delivery, packetId: 0, state: InflightState.NONE }
    innerMap(queues, delivery.ownerId).set(delivery.sequence, entry)
    this.retain(delivery.messageId)
    this.weight += ENTRY_WEIGHT
  }

  private removeEntry(queues: Map<number, QueueChanges>, ownerId: number, sequence: number): void {
    const queue = innerMap(queues, ownerId)
    const entry = queue.get(sequence)
    if (entry) {
      // Sequences grow, so what was put since the checkpoint is not in the database.
      queue.delete(sequence)
      if (queue.size === 0) queues.delete(ownerId)
      this.release(entry.delivery.messageId)
      this.weight -= ENTRY_WEIGHT
    } else {
      queue.set(sequence, null)
      this.weight += ENTRY_WEIGHT
    }
  }

  private dropQueue(queues: Map<number, QueueChanges>, ownerId: number): void {
    const queue = queues.get(ownerId)
    if (queue === undefined) return
    for (const entry of queue.values()) if (entry !== null) this.release(entry.delivery.messageId)
    queues.delete(ownerId)
    this.weight -= queue.size * ENTRY_WEIGHT
  }

  private retain(messageId: number): void {
    const known = this.messages.get(messageId)
    if (known === undefined) this.change(messageId, 1)
    else known.references++
  }

  private release(messageId: number): void {
    const known = this.messages.get(messageId)
    if (known === undefined) {
      this.change(messageId, -1)
      return
    }
    known.references--
    if (known.references === 0) this.unreferenced.push(messageId)
  }

  private change(messageId: number, by: number): void {
    this.referenceChanges.set(messageId, (this.referenceChanges.get(messageId) ?? 0) + by)
  }
}

function innerMap<K, L, V>(maps: Map<K, Map<L, V>>, key: K): Map<L, V> {
  let map = maps.get(key)
  if (map === undefined) {
    map = new Map()
    maps.set(key, map)
  }
  return map
}
