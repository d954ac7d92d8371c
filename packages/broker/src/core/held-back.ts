// Messages of a group that only members may have, or take, who have no room or no connection now.
// They wait by topic, beside the group's queue, so that other members get the others. What is too
// large for who has room waits for itself, with those of its topic that the same members take.

import type { Message } from './message.ts'
import { type Delivery, DeliveryQueue } from './session.ts'
import type { Subscription } from './subscriptions.ts'

export class HeldBack {
  count = 0
  /**
   * By topic, or by `Takers.sizeKey`, in the order in which they are looked at: what had its turn
   * goes to the end.
   */
  private readonly byKey = new Map<string, DeliveryQueue>()
  /** Of a topic its keys by size. */
  private readonly sizeKeys = new Map<string, string[]>()
  private due = 0
  /** Who got room since all was looked at; null: anybody may take something now. */
  private roomy: Set<Subscription> | null = new Set()
  /** Who was away and has come since: it may not take what waits for it. */
  private back = new Set<Subscription>()

  /** There are topics left to look at since `lookAgain`. */
  get isDue(): boolean {
    return this.due > 0
  }

  has(key: string): boolean {
    return this.count > 0 && this.byKey.has(key)
  }

  push(key: string, delivery: Delivery): void {
    this.queueOf(key, delivery.message.topic).push(delivery)
    this.count++
  }

  /** Puts back what was on its way to a member, before all others of its topic. */
  unshift(delivery: Delivery): void {
    const { topic } = delivery.message
    this.queueOf(topic, topic).unshift([delivery])
    this.count++
  }

  /** The member may have got room, or null: anybody may take what they could not. */
  lookAgain(member: Subscription | null): void {
    this.due = this.byKey.size
    if (this.due === 0) return
    if (member === null) this.roomy = null
    else this.roomy?.add(member)
  }

  /** The member is there again. */
  cameBack(member: Subscription): void {
    this.lookAgain(member)
    if (this.due > 0) this.back.add(member)
  }

  /** Nothing is due any more. */
  looked(): void {
    this.roomy = new Set()
    if (this.back.size > 0) this.back = new Set()
  }

  /**
   * Whether something may be otherwise than before.
   * @param admitted whether a member may be found that was not
   * @param takes whether a message may still wait for a member that has come back
   */
  mayFind(
    admitted: (member: Subscription) => boolean,
    takes: (member: Subscription) => boolean,
  ): boolean {
    if (this.roomy === null) return true
    for (const member of this.roomy) if (admitted(member)) return true
    for (const member of this.back) if (!takes(member)) return true
    return false
  }

  /** The key of the oldest of the topic for which `takes` holds. */
  oldest(topic: string, takes: (message: Message) => boolean): string | null {
    let oldest: string | null = null
    let sequence = Number.POSITIVE_INFINITY
    for (const key of [topic, ...(this.sizeKeys.get(topic) ?? [])]) {
      const first = this.first(key)
      if (first === null || first.sequence >= sequence || !takes(first.message)) continue
      oldest = key
      sequence = first.sequence
    }
    return oldest
  }

  /** The key of what is due next; null: nothing is. */
  next(): string | null {
    if (this.due === 0) return null
    this.due--
    for (const [key, queue] of this.byKey) {
      this.byKey.delete(key)
      this.byKey.set(key, queue)
      return key
    }
    return null
  }

  first(key: string): Delivery | null {
    return this.byKey.get(key)?.first ?? null
  }

  /** Takes the first of the key out. */
  shift(key: string): Delivery | null {
    const queue = this.byKey.get(key)
    const delivery = queue?.shift() ?? null
    if (queue === undefined || delivery === null) return null
    this.count--
    if (queue.length === 0) this.forget(key, delivery.message.topic)
    return delivery
  }

  /** Takes one out that has waited for long. */
  shiftAny(): Delivery | null {
    for (const key of this.byKey.keys()) return this.shift(key)
    return null
  }

  private forget(key: string, topic: string): void {
    this.byKey.delete(key)
    this.due = Math.min(this.due, this.byKey.size)
    if (key === topic) return
    const keys = this.sizeKeys.get(topic) ?? []
    if (keys.length > 1) keys.splice(keys.indexOf(key), 1)
    else this.sizeKeys.delete(topic)
  }

  private queueOf(key: string, topic: string): DeliveryQueue {
    let queue = this.byKey.get(key)
    if (queue === undefined) {
      queue = new DeliveryQueue()
      this.byKey.set(key, queue)
      if (key === topic) return queue
      const keys = this.sizeKeys.get(topic)
      if (keys === undefined) this.sizeKeys.set(topic, [key])
      else keys.push(key)
    }
    return queue
  }
}
