// Keeps retained messages and hands them to new subscriptions, each at the pace of its receiver.
// MQTT 5.0 section 3.3.1.3.

import type { Broker } from './broker.ts'
import type { Connection } from './connection.ts'
import type { Message } from './message.ts'
import { MORE, type RetainedJob, RetainedMessages, type RetainedWalk } from './retained.ts'
import { Delivery, type Session } from './session.ts'
import type { Subscription } from './subscriptions.ts'

/** Places that one subscriber may pass in one turn, for all of its subscriptions. */
const STEPS_PER_TURN = 10_000
/** A million retained messages are gone through in less than two minutes. */
const SWEEP_LOOKS = 1000
const SWEEP_STEPS = 20
/** Messages that one subscriber gets in one turn. */
const MESSAGES_PER_TURN = 1000

export class Retainer {
  readonly messages: RetainedMessages = new RetainedMessages()
  /** Of the broker's own topics, which no client can fill. */
  private ownCount = 0
  private ownBytes = 0
  /** The batch with the last removal. */
  private removedIn = 0
  private readonly broker: Broker
  private sweep: RetainedWalk | null = null

  constructor(broker: Broker) {
    this.broker = broker
  }

  /**
   * Keeps the message that the forwarder has begun with, or removes the topic's if it is empty.
   * @returns false when there is no room for it
   */
  retain(topic: string, message: Message): boolean {
    if (message.payloadStart === message.end) {
      this.remove(topic) // [MQTT-3.3.1-6] [MQTT-3.3.1-7]
      return true
    }
    const own = topic.startsWith('$SYS/')
    if (!own && !this.hasRoom(topic, message)) return false
    const kept = this.broker.forwarder.keep()
    const before = this.messages.set(topic, kept)
    if (own) {
      this.countOwn(before, kept)
      return true
    }
    const store = this.broker.ports.store
    this.broker.storeMessage(kept)
    store.putRetained(topic, kept.id)
    this.broker.forwarder.stored = true
    if (before !== null) this.broker.releaseMessage(before)
    // At QoS 0 nothing else may happen in this turn.
    this.broker.sender.requestTurn()
    return true
  }

  remove(topic: string): void {
    const before = this.messages.remove(topic)
    const { store } = this.broker.ports
    if (topic.startsWith('$SYS/')) {
      if (before !== null) this.countOwn(before, null)
      return
    }
    // Who removes what another has just removed is told when that is durable, not before.
    if (before === null && this.removedIn <= this.broker.sender.durableBatch) return
    store.removeRetained(topic)
    this.removedIn = store.openBatch
    this.broker.forwarder.stored = true
    if (before !== null) this.broker.releaseMessage(before)
    this.broker.sender.requestTurn()
  }

  private countOwn(before: Message | null, after: Message | null): void {
    this.ownCount += (after === null ? 0 : 1) - (before === null ? 0 : 1)
    this.ownBytes += (after?.byteLength ?? 0) - (before?.byteLength ?? 0)
  }

  /** What was stored comes back. */
  restore(message: Message): void {
    this.messages.set(message.topic, message)
    message.holders++
  }

  /**
   * A new subscription gets what matches it, after what was asked for before. Who asks again and
   * again and does not read adds nothing: each QoS is waited for once, with and without No Local.
   * A filter that is twice in one SUBSCRIBE is served twice where that differs [MQTT-3.8.4-5].
   */
  serveLater(session: Session, subscription: Subscription): void {
    if (!this.messages.mayMatch(subscription.filter)) {
      this.cancel(session, subscription)
      return
    }
    const jobs = session.retainedJobs ?? new Map<Subscription, RetainedJob>()
    session.retainedJobs = jobs
    const { qos, noLocal } = subscription
    const serialMax = this.messages.serial
    const job = { subscription, qos, noLocal, serialMax, walk: null, waiting: null, again: null }
    const before = jobs.get(subscription) ?? null
    const head = withLast(before, job)
    if (head !== before) jobs.delete(subscription)
    jobs.set(subscription, head)
    this.broker.queues.wake(session)
  }

  /** The subscription has gone: it gets no more. */
  cancel(session: Session, subscription: Subscription): void {
    const jobs = session.retainedJobs
    if (jobs === null) return
    jobs.delete(subscription)
    if (jobs.size === 0) session.retainedJobs = null
  }

  /** Sends as much as the receiver has room for; the rest when it has room again. */
  serve(connection: Connection, session: Session): void {
    let steps = STEPS_PER_TURN
    for (let sent = 0; sent < MESSAGES_PER_TURN && steps > 0; sent++) {
      const job = first(session.retainedJobs)
      if (job === null) {
        session.retainedJobs = null
        return
      }
      const message = this.waiting(job) ?? this.next(job, steps)
      if (job.waiting === null) steps -= job.walk?.looked ?? 0
      if (message === MORE) break
      if (message === null) {
        this.finish(session, job)
        continue
      }
      job.waiting = message
      if (!this.hasRoomFor(connection, session)) {
        // What this turn has written may be gone at once, and nobody would say so.
        if (connection.output !== null) break
        return
      }
      job.waiting = null
      this.send(session, job, message)
    }
    this.broker.queues.wake(session)
  }

  /** Removes some of what has expired; called from time to time. */
  sweepExpired(): void {
    if (this.messages.expiring === 0) {
      this.sweep = null
      return
    }
    this.sweep ??= this.messages.walkAll()
    for (let look = 0; look < SWEEP_LOOKS; look++) {
      const found = this.sweep.next(SWEEP_STEPS)
      if (found === null) {
        this.sweep = null
        return
      }
      if (found !== MORE) this.dropIfExpired(found)
    }
  }

  private finish(session: Session, job: RetainedJob): void {
    this.cancel(session, job.subscription)
    if (job.again === null) return
    session.retainedJobs ??= new Map()
    session.retainedJobs.set(job.subscription, job.again)
  }

  private send(session: Session, job: RetainedJob, message: Message): void {
    const broker = this.broker
    const { subscription } = job
    if (this.dropIfExpired(message)) return
    if (job.noLocal && message.publisher === session.clientId) return // [MQTT-3.8.3-3]
    if (!broker.mayReceive(session, message.topic)) return
    const identifiers = subscription.identifier === 0 ? null : [subscription.identifier]
    const qos = message.qos < job.qos ? message.qos : job.qos
    broker.forwarder.begin(message)
    if (qos === 0) broker.forwarder.once(session, identifiers, true)
    else broker.queues.add(session, new Delivery(message, qos, true, identifiers))
  }

  /** One at a time through the queue at QoS 1 and 2, half the bound of a slow receiver at QoS 0. */
  private hasRoomFor(connection: Connection, session: Session): boolean {
    if (session.tail !== null) return false
    if (session.queue !== null && session.queue.length > 0) return false
    const unsent = connection.pendingBytes + (connection.output?.bytes ?? 0)
    if (unsent > this.broker.limits.outgoingBytesMax / 2) return false
    return this.broker.queues.hasRoom(connection, session)
  }

  /** One that was replaced while it waited is not sent: what replaced it came live before. */
  private waiting(job: RetainedJob): Message | null {
    const { waiting } = job
    if (waiting !== null && this.messages.get(waiting.topic) !== waiting) job.waiting = null
    return job.waiting
  }

  private next(job: RetainedJob, steps: number): Message | null | typeof MORE {
    job.walk ??= this.messages.walk(job.subscription.filter, job.serialMax)
    return job.walk.next(steps)
  }

  private dropIfExpired(message: Message): boolean {
    if (message.expiresAtMs === 0 || !message.expired(this.broker.ports.clock.wallMs()))
      return false
    if (this.messages.get(message.topic) === message) this.remove(message.topic)
    return true
  }

  private hasRoom(topic: string, message: Message): boolean {
    if (this.broker.ports.store.full) return false
    const limits = this.broker.limits
    const before = this.messages.get(topic)
    const bytes = this.messages.bytes - this.ownBytes - (before?.byteLength ?? 0)
    if (bytes + message.byteLength > limits.retainedBytesMax) return false
    if (before !== null) return true
    if (this.messages.count - this.ownCount >= limits.retainedMessagesMax) return false
    // Its levels are only counted where they may be too many.
    const levelsLeft = limits.retainedLevelsMax - this.messages.levels
    return levelsLeft >= limits.topicLevelsMax || this.messages.newLevels(topic) <= levelsLeft
  }
}

/** The job that is under way or next. */
function first(jobs: ReadonlyMap<Subscription, RetainedJob> | null): RetainedJob | null {
  if (jobs === null) return null
  for (const job of jobs.values()) return job
  return null
}

/** The jobs of one subscription with one more at the end, in the place of one that is alike. */
function withLast(first: RetainedJob | null, last: RetainedJob): RetainedJob {
  let head: RetainedJob | null = null
  let end: RetainedJob | null = null
  for (let job = first; job !== null; job = job.again) {
    if (job.qos === last.qos && job.noLocal === last.noLocal) continue
    if (end === null) head = job
    else end.again = job
    end = job
  }
  if (end === null) return last
  end.again = last
  return head ?? last
}
