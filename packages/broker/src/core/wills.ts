// A will: the message that is published when a connection ends without DISCONNECT 0x00, after its
// delay or when the session ends, whichever is first. MQTT 5.0 section 3.1.2.5. Whether its client
// may publish it was asked at CONNECT, and is asked again when it goes out: it is a message of now.

import type { Broker } from './broker.ts'
import type { Connection } from './connection.ts'
import type { Timer } from './expiry.ts'
import { expiryOf } from './keep.ts'
import type { Message } from './message.ts'
import { type Identity, LATER } from './ports.ts'

export interface PendingWill {
  readonly message: Message
  readonly delaySeconds: number
  /** Message expiry counts from the moment of publication, in seconds; -1: none. */
  readonly expirySeconds: number
  /** Whose it is; null: it was stored before user names were. */
  readonly identity: Identity | null
  /** Set while the delay runs. */
  timer: Timer | null
}

export class Wills {
  private readonly broker: Broker
  /** Those that a guard is asked about, by its ticket. */
  private readonly asked = new Map<number, PendingWill>()
  /** Of all: they wait for their session, belong to one, or a guard is asked about them. */
  byteCount = 0

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** How many wait for a guard. */
  get askedCount(): number {
    return this.asked.size
  }

  /**
   * A connection is about to be let in with a will. In place of the one that its session has there
   * is always as much room as that takes, or a client could not come back.
   * @returns false when there is no room; nothing has changed then
   */
  reserve(connection: Connection, { message }: PendingWill): boolean {
    const { byteLength } = message
    const most = this.broker.limits.willBytesMax
    if (this.byteCount + byteLength > most) {
      const before = this.bytesOfClient(connection.clientId)
      if (this.byteCount - before + byteLength > most) return false
    }
    this.byteCount += byteLength
    connection.willBytes = byteLength
    return true
  }

  /** The connection has its session: the will is that one's. */
  handOver(connection: Connection): void {
    connection.willBytes = 0
  }

  /** The connection has ended, and is let in no more if it was not. */
  letGo(connection: Connection): void {
    this.byteCount -= connection.willBytes
    connection.willBytes = 0
  }

  private bytesOfClient(clientId: string): number {
    const { sessions, sleep } = this.broker
    const session = sessions.byClientId.get(clientId) ?? null
    if (session !== null) return session.will?.message.byteLength ?? 0
    const slot = sleep.sleepers.find(clientId)
    return slot < 0 ? 0 : sleep.sleepers.willBytes.get(slot)
  }

  /** The time of the will has come: it goes out if its client may still publish it. */
  publish(will: PendingWill): void {
    const { guard } = this.broker.ports
    if (will.identity === null || !guard.checksPermissions) {
      this.send(will)
      return
    }
    const { topic, qos, retain } = will.message
    const ticket = this.broker.newTicket()
    const code = guard.mayPublish(will.identity, topic, qos, retain, ticket)
    if (code === LATER) {
      this.asked.set(ticket, will)
      this.byteCount += will.message.byteLength
    } else this.settle(will, code)
  }

  /** A guard's late answer. */
  decided(ticket: number, verdict: unknown): void {
    const will = this.asked.get(ticket)
    if (will === undefined) return
    this.asked.delete(ticket)
    this.byteCount -= will.message.byteLength
    this.settle(will, verdict)
  }

  private settle(will: PendingWill, verdict: unknown): void {
    const { message } = will
    if (verdict === 0) this.send(will)
    else {
      this.broker.lose('not-authorized', message.publisher, message.topic, message.byteLength)
    }
  }

  private send(will: PendingWill): void {
    const { broker } = this
    const { message } = will
    message.expiresAtMs = expiryOf(will.expirySeconds, broker.ports.clock.wallMs())
    broker.counters.willsPublished++
    const route = broker.router.findTopic(message.topic, false)
    broker.forwarder.begin(message)
    // [MQTT-3.1.2-14] [MQTT-3.1.2-15]
    if (message.retain && !broker.retainer.retain(message.topic, message)) {
      const why = broker.ports.store.full ? 'storage-full' : 'retained-full'
      broker.lose(why, message.publisher, message.topic, message.byteLength)
    }
    const from = broker.sessions.byClientId.get(message.publisher) ?? null
    broker.forwarder.toRoute(route, from) // [MQTT-3.8.3-3]
    broker.sender.requestTurn()
  }
}
