// The registry of sessions: who exists, who is connected, what happens when a connection or a
// session ends. MQTT 5.0 sections 3.1.2.11.2 and 4.1.

import { SESSION_NEVER_EXPIRES, utf8ByteLength } from '@godwit/packet'
import type { Broker } from './broker.ts'
import { Timer } from './expiry.ts'
import { Session, type SessionOwner } from './session.ts'
import type { Subscription } from './subscriptions.ts'
import type { PendingWill } from './wills.ts'

export class Sessions implements SessionOwner {
  readonly byClientId: Map<string, Session> = new Map()
  readonly byStoredId: Map<number, Session> = new Map()
  nextStoredId = 1
  /** The batch with the last record that a session is gone. */
  removedIn = 0
  private readonly broker: Broker

  constructor(broker: Broker) {
    this.broker = broker
  }

  create(clientId: string): Session {
    const session = new Session(this, clientId)
    this.byClientId.set(clientId, session)
    return session
  }

  /** The session is kept from now on, or no longer, or for another time. */
  setExpiry(session: Session, seconds: number): void {
    session.expirySeconds = Math.min(seconds, this.broker.limits.sessionExpirySecondsMax)
    const persistent = session.expirySeconds > 0
    if (persistent && session.storedId === 0) {
      session.storedId = this.nextStoredId++
      this.byStoredId.set(session.storedId, session)
    }
    session.persistent = persistent
    if (session.storedId !== 0) this.put(session, 0) // [MQTT-3.1.2-23]
  }

  /** Sessions, connected or not. */
  get count(): number {
    return this.byClientId.size + this.broker.sleep.sleepers.count
  }

  /** The connection has ended; the session stays for its expiry interval. */
  detach(session: Session, withWill: boolean): void {
    session.connection = null
    session.inflight?.rewind()
    this.broker.groups.memberGone(session)
    const will = session.will
    if (will !== null && !withWill) this.dropWill(session) // [MQTT-3.14.4-3]
    if (!session.persistent) {
      this.end(session) // [MQTT-4.1.0-2]
      return
    }
    this.put(session, this.broker.ports.clock.wallMs())
    if (session.will !== null) this.startWill(session, session.will)
    if (session.expirySeconds !== SESSION_NEVER_EXPIRES) {
      // The last tick may be long ago, which would take from the time of the session.
      const atMs = this.broker.ports.clock.monotonicMs() + session.expirySeconds * 1000
      this.broker.wheel.set(session.setTimer(), atMs)
    }
    this.fallIfIdle(session)
  }

  private fallIfIdle(session: Session): void {
    const { sleep } = this.broker
    if (session.connection === null && sleep.canFall(session)) sleep.fall(session)
  }

  /** A connection takes the session over: expiry and will delay stop. */
  attach(session: Session): void {
    session.takenOver = false
    if (session.timer !== null) this.broker.wheel.cancel(session.timer)
    this.dropWill(session) // [MQTT-3.1.3-9]
  }

  /** The session ends: nothing of it is left, its will goes out now if it has one. */
  end(session: Session): void {
    if (session.ended) return
    session.ended = true
    const will = session.will
    this.dropWill(session)
    if (session.timer !== null) this.broker.wheel.cancel(session.timer)
    this.byClientId.delete(session.clientId)
    // So that each of them need not be looked for among ten thousand.
    session.groups = null
    session.retainedJobs = null
    for (const subscription of session.subscriptions()) this.unsubscribe(session, subscription)
    this.broker.queues.discard(session, 'session-ended')
    session.received = null
    if (session.storedId !== 0) {
      this.byStoredId.delete(session.storedId)
      this.broker.ports.store.removeSession(session.storedId)
      this.removedIn = this.broker.ports.store.openBatch
      this.broker.sender.requestTurn()
    }
    if (will !== null) this.broker.wills.publish(will)
  }

  /** Removes one subscription from wherever it is known. */
  unsubscribe(session: Session, subscription: Subscription): void {
    const { router, groups, retainer } = this.broker
    session.removeSubscription(subscription)
    if (session.retainedJobs !== null) retainer.cancel(session, subscription)
    this.broker.subscriptionCount--
    this.broker.filterBytes -= utf8ByteLength(subscription.filter)
    if (subscription.group !== null) groups.leave(subscription.group, subscription)
    else {
      router.index.remove(subscription.filter, subscription)
      router.forget(subscription.filter)
    }
  }

  sessionDue(session: Session, timer: Timer): void {
    if (timer === session.timer) {
      this.broker.counters.clientsExpired++
      this.end(session)
      return
    }
    const will = session.will
    if (will === null) return
    this.dropWill(session) // [MQTT-3.1.2-10]
    this.broker.wills.publish(will)
    this.fallIfIdle(session)
  }

  /** Keeps the will with the session [MQTT-3.1.2-7]. */
  setWill(session: Session, will: PendingWill | null): void {
    session.will = will
    if (will === null || session.storedId === 0) return
    this.broker.storeMessage(will.message)
    this.putWill(session, will, 0)
  }

  private startWill(session: Session, will: PendingWill): void {
    if (will.delaySeconds === 0) {
      this.dropWill(session)
      this.broker.wills.publish(will) // [MQTT-3.1.2-8]
      return
    }
    will.timer = new Timer(session)
    const nowMs = this.broker.ports.clock.monotonicMs()
    this.broker.wheel.set(will.timer, nowMs + will.delaySeconds * 1000)
    this.putWill(session, will, this.broker.ports.clock.wallMs() + will.delaySeconds * 1000)
  }

  private dropWill(session: Session): void {
    const will = session.will
    if (will === null) return
    session.will = null
    this.broker.wills.byteCount -= will.message.byteLength
    if (will.timer !== null) this.broker.wheel.cancel(will.timer)
    if (session.storedId === 0 || will.message.id === 0) return
    this.broker.ports.store.removeWill(session.storedId)
    this.broker.releaseMessage(will.message)
  }

  private putWill(session: Session, will: PendingWill, fireAtMs: number): void {
    const { message, delaySeconds, expirySeconds, identity } = will
    const sessionId = session.storedId
    const user = identity === null ? null : { username: identity.username }
    const stored = { sessionId, message, delaySeconds, expirySeconds, fireAtMs, user }
    this.broker.ports.store.putWill(stored)
  }

  private put(session: Session, disconnectedAtMs: number): void {
    const { storedId, clientId, protocolLevel, expirySeconds } = session
    this.broker.ports.store.putSession({
      id: storedId,
      clientId,
      protocolLevel,
      sessionExpirySeconds: expirySeconds,
      disconnectedAtMs,
    })
    this.broker.sender.requestTurn()
  }
}
