// Takes back what the store has kept, at start: sessions fall asleep as if their connections had
// just ended, retained messages and groups come into memory.

import type { Broker } from './broker.ts'
import { storedMessage } from './keep.ts'
import type {
  StoredDelivery,
  StoredMessage,
  StoredSession,
  StoredSubscription,
  StoreReader,
} from './ports.ts'
import { Delivery } from './session.ts'

const NEVER = 0xffff_ffff

export class Restorer implements StoreReader {
  lastMessageId = 0
  private readonly broker: Broker
  /** Of wall time. */
  private readonly aheadMs: number
  private readonly groupMessages = new Map<number, ReturnType<typeof storedMessage>>()

  constructor(broker: Broker) {
    this.broker = broker
    const { clock } = broker.ports
    this.aheadMs = clock.monotonicMs() - clock.wallMs()
    broker.groups.beginRestore()
  }

  session(stored: StoredSession): void {
    const { sessions, sleep } = this.broker
    const slot = sleep.sleepers.add(stored.clientId, stored.id)
    sessions.nextStoredId = Math.max(sessions.nextStoredId, stored.id + 1)
    if (stored.sessionExpirySeconds === NEVER) return
    const atMs = stored.disconnectedAtMs + stored.sessionExpirySeconds * 1000
    sleep.sleepers.endsAtMs.set(slot, this.monotonic(atMs))
  }

  subscription(stored: StoredSubscription): void {
    const slot = this.slotOf(stored.sessionId)
    if (slot < 0) return
    const { filter, options, identifier } = stored
    this.broker.sleep.restoreSubscription(slot, filter, options, identifier)
  }

  backlog(sessionId: number, messages: number, bytes: number, sequenceMax: number): void {
    const slot = this.slotOf(sessionId)
    if (slot < 0) return
    const { sleepers } = this.broker.sleep
    sleepers.messages.set(slot, messages)
    sleepers.bytes.set(slot, bytes)
    sleepers.nextSequence.set(slot, sequenceMax + 1)
  }

  will(sessionId: number, fireAtMs: number, byteLength: number): void {
    const slot = this.slotOf(sessionId)
    if (slot < 0) return
    const { sleep, wills } = this.broker
    sleep.sleepers.willAtMs.set(slot, this.monotonic(fireAtMs))
    sleep.sleepers.willBytes.set(slot, byteLength)
    wills.byteCount += byteLength
  }

  retained(stored: StoredMessage): void {
    this.broker.retainer.restore(storedMessage(stored))
  }

  group(groupId: number, shareName: string, filter: string): void {
    this.broker.groups.restore(groupId, shareName, filter)
  }

  groupDelivery(stored: StoredDelivery, of: StoredMessage): void {
    const message = this.groupMessages.get(of.id) ?? storedMessage(of)
    this.groupMessages.set(of.id, message)
    const qos = (stored.flags & 3) === 2 ? 2 : 1
    const delivery = new Delivery(message, qos, (stored.flags & 4) !== 0, stored.identifiers)
    delivery.ownerId = stored.ownerId
    delivery.sequence = stored.sequence
    message.holders++
    this.broker.groups.restoreDelivery(stored.ownerId, delivery)
  }

  messageIdMax(id: number): void {
    this.lastMessageId = id
  }

  /** All has been read. Sessions that last as long as their connection end at the first tick. */
  finish(): void {
    this.broker.groups.endRestore()
  }

  /** What was stored in wall time. A clock that jumps later changes nothing. */
  private monotonic(wallMs: number): number {
    return wallMs + this.aheadMs || 1
  }

  /** Sessions come by ascending id, so their slots are in the same order. */
  private slotOf(sessionId: number): number {
    const { sleepers } = this.broker.sleep
    let low = 0
    let high = sleepers.slotsMax - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const id = sleepers.storedId.get(middle)
      if (id === sessionId) return middle
      if (id < sessionId) low = middle + 1
      else high = middle - 1
    }
    return -1
  }
}
