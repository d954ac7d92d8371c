// All shared groups: who joins and leaves, which member gets the next message, and what becomes of
// messages that a member did not finish. MQTT 5.0 section 4.8.2.

import type { Broker } from './broker.ts'
import type { DropReason } from './ledger.ts'
import type { Message } from './message.ts'
import { InflightState } from './ports.ts'
import { Delivery, type Session } from './session.ts'
import { Group } from './shared.ts'
import type { Subscription } from './subscriptions.ts'
import { Takers } from './takers.ts'

export class Groups {
  private readonly broker: Broker
  private readonly byKey = new Map<string, Group>()
  private readonly byStoredId = new Map<number, Group>()
  private nextStoredId = 1
  /** What the store gives back comes piece by piece: a group's record after its members. */
  private isRestoring = false
  private waking: Group[] = []
  private blocked: Group[] = []
  /** They go on in the next turn, behind those that were not looked at in this one. */
  private unfinished: Group[] = []
  private passedOver: Group[] = []
  private readonly takers: Takers
  private looksLeft: number
  private readonly ready = (member: Subscription): boolean => this.isReady(member)

  constructor(broker: Broker) {
    this.broker = broker
    this.looksLeft = broker.shares.memberLooks
    this.takers = new Takers(broker)
  }

  get count(): number {
    return this.byKey.size
  }

  /** The looks of this turn were too few: some groups go on in the next one. */
  get isBehind(): boolean {
    return this.passedOver.length > 0 || this.unfinished.length > 0
  }

  all(): Iterable<Group> {
    return this.byKey.values()
  }

  /** The group of this name and filter, made if there is none. */
  groupOf(shareName: string, filter: string): Group {
    const key = `${shareName}/${filter}`
    let group = this.byKey.get(key)
    if (group === undefined) {
      group = new Group(shareName, filter)
      this.byKey.set(key, group)
      this.broker.router.index.addGroup(filter, group)
      this.broker.router.forget(filter)
    }
    return group
  }

  join(group: Group, member: Subscription): void {
    member.group = group
    group.add(member)
    const session = member.session
    // A session has one subscription per filter, and so joins a group once.
    session.groups ??= []
    session.groups.push(group)
    if (session.persistent && group.storedId === 0 && !this.isRestoring) this.putGroup(group)
    group.held.lookAgain(null)
    this.wake(group)
  }

  /** A member whose session sleeps. */
  joinAsleep(group: Group, member: Subscription): void {
    member.group = group
    group.add(member)
  }

  leave(group: Group, member: Subscription): void {
    group.remove(member)
    member.group = null
    const session = member.session
    const at = session.groups?.indexOf(group) ?? -1
    if (at >= 0) session.groups?.splice(at, 1)
    if (session.groups?.length === 0) session.groups = null
    if (group.members.length === 0) {
      this.end(group)
      return
    }
    group.held.lookAgain(null)
    this.wake(group)
  }

  /** Whether a message for the group would find room, or make it by the policy. */
  admits(group: Group, byteLength: number): boolean {
    const { limits, ports, queues } = this.broker
    if (ports.store.full && group.persistent) return false
    if (queues.totalBytes + byteLength > limits.totalQueuedBytesMax) return false
    return limits.fullQueue === 'drop-oldest' || !this.isFull(group, byteLength)
  }

  /** A message for the group: to a member at once, or into the queue. */
  take(group: Group, message: Message): void {
    const broker = this.broker
    if (message.qos === 0) {
      this.takeOnce(group, message)
      return
    }
    const { limits, queues } = broker
    if (queues.totalBytes + message.byteLength > limits.totalQueuedBytesMax) {
      this.lose(group, 'total-queue-full', message)
      return
    }
    const { byteLength } = message
    const refuses = limits.fullQueue === 'refuse' || byteLength > limits.queuedBytesMax
    if (refuses && this.isFull(group, byteLength)) {
      this.lose(group, 'queue-full', message)
      return
    }
    const delivery = new Delivery(broker.forwarder.keep(), message.qos, message.retain, null)
    delivery.group = group
    delivery.sequence = group.nextSequence++
    this.makeRoom(group, delivery.message)
    group.queue.push(delivery)
    group.queuedBytes += delivery.message.byteLength
    broker.queues.totalBytes += delivery.message.byteLength
    if (group.storedId !== 0 && group.persistent) this.store(group, delivery)
    this.wake(group)
  }

  /** QoS 0: to a member that is there, or to nobody. */
  private takeOnce(group: Group, message: Message): void {
    const { broker, takers } = this
    const { turn } = group
    group.lookedAt = 0
    let member = group.next(isOnline)
    let why: DropReason = 'no-member-online'
    if (member !== null && !takers.takes(member, message)) {
      // Who was asked and did not get it is in turn again.
      group.turn = turn
      member = takers.search(group, message, isOnline)
      if (takers.isTooLarge) why = 'packet-too-large'
    }
    broker.workload.looked(group.lookedAt)
    if (member === null) this.lose(group, why, message)
    else {
      const retain = message.retain && member.retainAsPublished
      broker.forwarder.once(member.session, identifiersOf(member), retain)
    }
  }

  /** A member has room: its groups are looked at. */
  serve(session: Session): void {
    const groups = session.groups
    if (groups === null) return
    for (const group of groups) {
      const member = group.waitingCount > 0 ? memberOf(group, session) : null
      if (member === null) group.refresh()
      else group.hasRoom(member)
      group.held.lookAgain(member)
      this.wake(group)
    }
  }

  /** A member that was away is there: what waits may have waited for it, and it takes less now. */
  memberCame(session: Session): void {
    for (const group of session.groups ?? []) {
      if (group.held.count === 0) continue
      const member = memberOf(group, session)
      if (member !== null) group.held.cameBack(member)
      this.wake(group)
    }
  }

  /** Hands out what waits in the groups that woke. @returns false when none did */
  pumpAll(): boolean {
    if (this.waking.length === 0) {
      const { passedOver, unfinished } = this
      this.passedOver = []
      this.unfinished = []
      this.looksLeft = this.broker.shares.memberLooks
      for (const group of passedOver) this.wake(group)
      for (const group of unfinished) this.wake(group)
      return false
    }
    const waking = this.waking
    this.waking = []
    for (const group of waking) {
      group.waking = false
      if (this.looksLeft > 0) this.pump(group)
      else this.passedOver.push(group)
    }
    return true
  }

  /** The guard may answer otherwise than before: what is held back may find a member. */
  permissionsChanged(): void {
    for (const group of this.byKey.values()) {
      if (group.held.count === 0) continue
      group.held.lookAgain(null)
      this.wake(group)
    }
  }

  /** A batch is durable: those that waited for it go on. */
  wakeBlocked(): void {
    const blocked = this.blocked
    this.blocked = []
    for (const group of blocked) this.wake(group)
  }

  /**
   * A member's connection has ended: QoS 1 goes back to the group. A QoS 2 message whose delivery
   * began stays with the member [MQTT-4.8.2-4], and ends with its session [MQTT-4.8.2-5].
   */
  memberGone(session: Session): void {
    if (session.groups === null) return
    const back = new Map<Group, Delivery[]>()
    const finished: number[] = []
    session.inflight?.each((packetId, state, delivery) => {
      const group = delivery?.group ?? null
      if (group === null || delivery === null) return
      const begun = state !== InflightState.QOS_1_SENT && delivery.sentBefore
      if (begun || group.members.length === 0) return
      const list = back.get(group) ?? []
      list.push(delivery)
      back.set(group, list)
      finished.push(packetId)
    })
    for (const packetId of finished) session.inflight?.finish(packetId)
    session.queue?.removeWhere(delivery => {
      const group = delivery.group
      if (group === null || group.members.length === 0) return false
      const list = back.get(group) ?? []
      list.push(delivery)
      back.set(group, list)
      return true
    })
    for (const [group, deliveries] of back) this.takeBack(session, group, deliveries)
  }

  beginRestore(): void {
    this.isRestoring = true
  }

  /** All has been read: groups whose members ended with the process are not kept without them. */
  endRestore(): void {
    this.isRestoring = false
    for (const group of [...this.byKey.values()]) {
      if (group.members.length === 0) this.end(group)
      else if (group.storedId === 0 && group.persistent) this.putGroup(group)
    }
  }

  restore(storedId: number, shareName: string, filter: string): void {
    const group = this.groupOf(shareName, filter)
    group.storedId = storedId
    this.byStoredId.set(storedId, group)
    this.nextStoredId = Math.max(this.nextStoredId, storedId + 1)
  }

  restoreDelivery(groupId: number, delivery: Delivery): void {
    const group = this.byStoredId.get(groupId)
    if (group === undefined) return
    delivery.group = group
    group.queue.push(delivery)
    group.queuedBytes += delivery.message.byteLength
    this.broker.queues.totalBytes += delivery.message.byteLength
    group.nextSequence = Math.max(group.nextSequence, delivery.sequence + 1)
  }

  private putGroup(group: Group): void {
    group.storedId = this.nextStoredId++
    this.byStoredId.set(group.storedId, group)
    this.broker.ports.store.putGroup(group.storedId, group.shareName, group.filter)
    this.broker.sender.requestTurn()
  }

  private wake(group: Group): void {
    if (group.waking || group.waitingCount === 0) return
    group.waking = true
    this.waking.push(group)
    this.broker.sender.requestTurn()
  }

  private pump(group: Group): void {
    const durable = this.broker.sender.durableBatch
    if (group.held.isDue) this.pumpHeld(group)
    for (;;) {
      const next = group.queue.first
      if (next === null) {
        group.refresh()
        return
      }
      if (next.batch > durable) {
        this.blocked.push(group)
        return
      }
      if (this.broker.queues.isExpired(next.message)) {
        group.queue.shift()
        this.drop(group, next, 'expired') // [MQTT-3.3.2-5]
        continue
      }
      if (group.held.has(next.message.topic)) {
        group.queue.shift()
        group.held.push(next.message.topic, next)
        continue
      }
      if (this.looksLeft <= 0) {
        this.unfinished.push(group)
        return
      }
      group.lookedAt = 0
      const { turn } = group
      const first = group.nextWithRoom(this.ready)
      if (first === null) {
        group.exhaust()
        return
      }
      const member = this.takerOf(group, first, turn, next.message)
      this.looksLeft -= group.lookedAt
      // Something of its topic may have waited that has not been looked at yet.
      const waited = member !== null && group.held.isDue
      if (waited && this.giveOldest(group, member, next.message.topic)) continue
      group.queue.shift()
      if (member !== null) this.giveFirst(group, member, next)
      else this.holdBack(group, next)
    }
  }

  /** The member that has room, or another one; null: nobody who has room takes the message. */
  private takerOf(
    group: Group,
    first: Subscription,
    turn: number,
    message: Message,
  ): Subscription | null {
    if (this.takers.takes(first, message)) return first
    // Who was asked and did not get it is in turn again.
    group.turn = turn
    return this.takers.search(group, message, this.ready)
  }

  /** Those that have room may not have it, or not take it: nobody waits behind it. */
  private holdBack(group: Group, next: Delivery): void {
    const { takers } = this
    const { topic } = next.message
    if (takers.waits) group.held.push(takers.othersPass ? takers.sizeKey(topic) : topic, next)
    else this.drop(group, next, takers.isTooLarge ? 'packet-too-large' : 'not-authorized')
  }

  /** Hands out what was held back, if somebody who may have it has room now. */
  private pumpHeld(group: Group): void {
    for (let looks = this.broker.shares.heldLooks; looks > 0 && this.looksLeft > 0; looks--) {
      const key = group.held.next()
      if (key === null) break
      this.pumpKey(group, key)
    }
    if (group.held.isDue) this.unfinished.push(group)
    else group.held.looked()
  }

  private pumpKey(group: Group, key: string): void {
    const { held } = group
    const { takers } = this
    for (let next = held.first(key); next !== null; next = held.first(key)) {
      if (this.looksLeft <= 0) {
        held.lookAgain(null)
        return
      }
      const { message } = next
      if (this.broker.queues.isExpired(message)) {
        held.shift(key)
        this.drop(group, next, 'expired') // [MQTT-3.3.2-5]
        continue
      }
      // Of many members only those are asked that can make a difference. One that the message is
      // too large for does, where others of the topic wait behind it.
      const { topic } = message
      const takes = (member: Subscription): boolean => takers.takes(member, message)
      const mayMatter = (member: Subscription): boolean =>
        key === topic ? this.broker.mayReceive(member.session, topic) : takes(member)
      if (!held.mayFind(member => this.ready(member) && mayMatter(member), takes)) return
      group.lookedAt = 0
      const member = takers.search(group, message, this.ready)
      this.looksLeft -= group.lookedAt
      if (member !== null) {
        this.giveOldest(group, member, topic)
        continue
      }
      // It waits for itself from now on, or for others than before.
      if (takers.waits && (!takers.othersPass || takers.sizeKey(topic) === key)) return
      held.shift(key)
      this.holdBack(group, next)
    }
  }

  /**
   * Of what is held back of the topic the member gets what it takes in the order it came in.
   * @returns false when it takes nothing of it
   */
  private giveOldest(group: Group, member: Subscription, topic: string): boolean {
    const { broker, takers } = this
    const { held } = group
    const key = held.oldest(topic, message => takers.takes(member, message))
    const oldest = key === null ? null : held.shift(key)
    if (oldest === null) return false
    if (broker.queues.isExpired(oldest.message)) this.drop(group, oldest, 'expired')
    else this.giveFirst(group, member, oldest)
    return true
  }

  private giveFirst(group: Group, member: Subscription, delivery: Delivery): void {
    group.queuedBytes -= delivery.message.byteLength
    this.broker.queues.totalBytes -= delivery.message.byteLength
    this.give(group, member, delivery)
  }

  /** From the group's queue into the member's window, or out at QoS 0 [MQTT-4.8.2-3]. */
  private give(group: Group, member: Subscription, delivery: Delivery): void {
    const { session } = member
    const connection = session.connection
    if (connection === null) return
    const message = delivery.message
    const retain = delivery.retain && member.retainAsPublished
    if (member.qos === 0) {
      const forwarder = this.broker.forwarder
      forwarder.sendKept(connection, session, message, 0, retain, 0, identifiersOf(member), false)
    } else {
      const qos = message.qos < member.qos ? message.qos : member.qos
      const own = new Delivery(message, qos as 1 | 2, retain, identifiersOf(member))
      own.group = group
      this.broker.queues.add(session, own)
      this.broker.queues.assign(session)
    }
    if (delivery.ownerId === 0) return
    this.broker.ports.store.removeGroupDelivery(group.storedId, delivery.sequence)
    this.broker.releaseMessage(message)
  }

  private isReady(member: Subscription): boolean {
    const { session } = member
    const connection = session.connection
    if (connection === null || !connection.ready) return false
    if (session.tail !== null) return false
    if (session.queue !== null && session.queue.length > 0) return false
    return this.broker.queues.hasRoom(connection, session)
  }

  private takeBack(session: Session, group: Group, deliveries: Delivery[]): void {
    const back: Delivery[] = []
    for (const delivery of deliveries) {
      const again = new Delivery(delivery.message, delivery.qos, delivery.message.retain, null)
      again.group = group
      again.sequence = group.nextSequence++
      if (group.storedId !== 0 && group.persistent) this.store(group, again)
      this.broker.queues.forget(session, delivery)
      this.broker.queues.totalBytes += again.message.byteLength
      back.push(again)
    }
    group.takeBack(back)
    this.wake(group)
  }

  private store(group: Group, delivery: Delivery): void {
    const store = this.broker.ports.store
    this.broker.storeMessage(delivery.message)
    delivery.ownerId = group.storedId
    store.putGroupDelivery(delivery)
    delivery.batch = store.openBatch
    this.broker.forwarder.stored = true
  }

  private makeRoom(group: Group, message: Message): void {
    while (this.isFull(group, message.byteLength)) {
      const oldest = group.held.shiftAny() ?? group.queue.shift()
      if (oldest === null) return
      this.drop(group, oldest, 'queue-full')
    }
  }

  private isFull(group: Group, byteLength: number): boolean {
    const limits = this.broker.limits
    return (
      group.waitingCount >= limits.queuedMessagesMax ||
      group.queuedBytes + byteLength > limits.queuedBytesMax
    )
  }

  private drop(group: Group, delivery: Delivery, reason: DropReason): void {
    this.lose(group, reason, delivery.message)
    group.queuedBytes -= delivery.message.byteLength
    this.broker.queues.totalBytes -= delivery.message.byteLength
    if (delivery.ownerId === 0) return
    this.broker.ports.store.removeGroupDelivery(group.storedId, delivery.sequence)
    this.broker.releaseMessage(delivery.message)
  }

  private end(group: Group): void {
    while (group.waitingCount > 0) {
      const next = group.held.shiftAny() ?? group.queue.shift()
      if (next !== null) this.drop(group, next, 'session-ended')
    }
    this.byKey.delete(`${group.shareName}/${group.filter}`)
    this.broker.router.index.removeGroup(group.filter, group)
    this.broker.router.forget(group.filter)
    if (group.storedId === 0) return
    this.byStoredId.delete(group.storedId)
    this.broker.ports.store.removeGroup(group.storedId)
    this.broker.sender.requestTurn()
  }

  private lose(group: Group, reason: DropReason, message: Message): void {
    const name = `$share/${group.shareName}/${group.filter}`
    this.broker.lose(reason, name, message.topic, message.byteLength)
  }
}

/** A session has one subscription per filter. */
function memberOf(group: Group, session: Session): Subscription | null {
  return session.subscription(`$share/${group.shareName}/${group.filter}`)
}

function isOnline(member: Subscription): boolean {
  return member.session.connection !== null
}

function identifiersOf(member: Subscription): readonly number[] | null {
  return member.identifier === 0 ? null : [member.identifier]
}
