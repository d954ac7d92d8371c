// Messages of a group that only members may have who have no room or no connection now. They wait
// by topic, beside the group's queue, so that members who may not have them get the others.

import { type Delivery, DeliveryQueue } from './session.ts'
import type { Subscription } from './subscriptions.ts'

export class HeldBack {
  count = 0
  /** In the order in which they are looked at: who had its turn goes to the end. */
  private readonly byTopic = new Map<string, DeliveryQueue>()
  private due = 0
  /** Who got room since all was looked at; null: anybody may take something now. */
  private roomy: Set<Subscription> | null = new Set()

  /** There are topics left to look at since `lookAgain`. */
  get isDue(): boolean {
    return this.due > 0
  }

  has(topic: string): boolean {
    return this.count > 0 && this.byTopic.has(topic)
  }

  push(delivery: Delivery): void {
    this.queueOf(delivery).push(delivery)
    this.count++
  }

  /** Puts back what was on its way to a member, before all others of its topic. */
  unshift(delivery: Delivery): void {
    this.queueOf(delivery).unshift([delivery])
    this.count++
  }

  /** The member may have got room, or null: anybody may take what they could not. */
  lookAgain(member: Subscription | null): void {
    this.due = this.byTopic.size
    if (this.due === 0) return
    if (member === null) this.roomy = null
    else this.roomy?.add(member)
  }

  /** Nothing is due any more. */
  looked(): void {
    this.roomy = new Set()
  }

  /** Whether it may hold for any member that it did not hold for before. */
  mayFind(admitted: (member: Subscription) => boolean): boolean {
    if (this.roomy === null) return true
    for (const member of this.roomy) if (admitted(member)) return true
    return false
  }

  /** The next topic that is due; null: none is. */
  next(): string | null {
    if (this.due === 0) return null
    this.due--
    for (const [topic, queue] of this.byTopic) {
      this.byTopic.delete(topic)
      this.byTopic.set(topic, queue)
      return topic
    }
    return null
  }

  first(topic: string): Delivery | null {
    return this.byTopic.get(topic)?.first ?? null
  }

  /** Takes the first of the topic out. */
  shift(topic: string): Delivery | null {
    const queue = this.byTopic.get(topic)
    const delivery = queue?.shift() ?? null
    if (delivery !== null) this.count--
    if (queue?.length === 0) {
      this.byTopic.delete(topic)
      this.due = Math.min(this.due, this.byTopic.size)
    }
    return delivery
  }

  /** Takes one out that has waited for long. */
  shiftAny(): Delivery | null {
    for (const topic of this.byTopic.keys()) return this.shift(topic)
    return null
  }

  private queueOf({ message }: Delivery): DeliveryQueue {
    let queue = this.byTopic.get(message.topic)
    if (queue === undefined) {
      queue = new DeliveryQueue()
      this.byTopic.set(message.topic, queue)
    }
    return queue
  }
}
