// Shared subscriptions. A group has one queue: a message waits in the group until a member has room
// for it, never in a member that is slow or gone. MQTT 5.0 section 4.8.2.

import { HeldBack } from './held-back.ts'
import { type Delivery, DeliveryQueue } from './session.ts'
import type { Subscription } from './subscriptions.ts'

export class Group {
  readonly shareName: string
  /** Without the share name. */
  readonly filter: string
  /** Id in the store; 0 until a member's session is kept. */
  storedId = 0
  readonly members: Subscription[] = []
  readonly queue: DeliveryQueue = new DeliveryQueue()
  readonly held: HeldBack = new HeldBack()
  /** Of both. */
  queuedBytes = 0
  nextSequence = 1
  waking = false
  /** How many members were gone through; who wants to know sets it to 0 before. */
  lookedAt = 0
  /** The place of the member that is in turn. */
  turn = 0
  /** No member had room when they were last asked, but those that have said so since. */
  private isExhausted = false
  private readonly roomy: Subscription[] = []

  constructor(shareName: string, filter: string) {
    this.shareName = shareName
    this.filter = filter
  }

  /** Messages in the queue, and those that are held back. */
  get waitingCount(): number {
    return this.queue.length + this.held.count
  }

  /** True when the messages of the group outlive the process: a member's session does. */
  get persistent(): boolean {
    return this.members.some(member => member.session.persistent)
  }

  /** The next member in turn for which `ready` holds. */
  next(ready: (member: Subscription) => boolean): Subscription | null {
    const count = this.members.length
    for (let i = 0; i < count; i++) {
      const at = (this.turn + i) % count
      const member = this.members[at] as Subscription
      if (!ready(member)) continue
      this.turn = at + 1
      this.lookedAt += i + 1
      return member
    }
    this.lookedAt += count
    return null
  }

  /** The same, where only those are asked that may have room: a large group is not gone through. */
  nextWithRoom(hasRoom: (member: Subscription) => boolean): Subscription | null {
    if (!this.isExhausted) return this.next(hasRoom)
    for (;;) {
      const last = this.roomy.at(-1)
      if (last === undefined) return null
      if (hasRoom(last)) return last
      this.roomy.pop()
    }
  }

  /** No member has room. Each that gets some says so by `hasRoom`. */
  exhaust(): void {
    this.isExhausted = true
    this.roomy.length = 0
  }

  /** Who has room has to be found out anew. */
  refresh(): void {
    this.isExhausted = false
    this.roomy.length = 0
  }

  hasRoom(member: Subscription): void {
    if (this.roomy.length >= this.members.length) this.refresh()
    if (this.isExhausted) this.roomy.push(member)
  }

  add(member: Subscription): void {
    this.members.push(member)
    this.refresh()
  }

  remove(member: Subscription): void {
    const at = this.members.indexOf(member)
    if (at >= 0) this.members.splice(at, 1)
    this.refresh()
  }

  /** Takes back messages that a member did not finish, in their order. */
  takeBack(deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0) return
    for (const delivery of deliveries) this.queuedBytes += delivery.message.byteLength
    if (this.held.count === 0) {
      this.queue.unshift(deliveries)
      return
    }
    // Those of a topic that is held back go before the others of it.
    this.queue.unshift(deliveries.filter(({ message }) => !this.held.has(message.topic)))
    for (const delivery of deliveries.toReversed()) {
      if (this.held.has(delivery.message.topic)) this.held.unshift(delivery)
    }
  }
}
