// hot
// QoS 1 and 2 messages on their way to one client, by packet identifier. Identifiers are given in
// order, so the window is a ring: a good acknowledgement costs one look, a bad one as well.

import { PACKET_ID_MAX } from '@godwit/packet'
import { InflightState } from './ports.ts'
import type { Delivery } from './session.ts'

const FIRST_ROOM = 16

export class Inflight {
  private states: Uint8Array = new Uint8Array(FIRST_ROOM)
  private deliveries: (Delivery | null)[] | null = null
  private head = 0
  /** Packet identifier at the head. */
  private headId = 1
  /** Identifiers from the head to the last one given, finished ones between included. */
  private span = 0
  /** How many from the head were sent on this connection; all of them when it resumed nothing. */
  private sentSpan = 0
  /** Messages that are not finished. */
  active = 0
  /** Those of them that were sent on this connection: what Receive Maximum limits. */
  sent = 0

  /** Packet identifiers that are given and not sent on this connection. */
  get unsentSpan(): number {
    return this.span - this.sentSpan
  }

  /**
   * Gives the next packet identifier to a message that is sent now.
   * [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]
   * @returns 0 when all identifiers are taken
   */
  begin(state: number): number {
    const packetId = this.assign(state, null)
    if (packetId === 0) return 0
    this.sentSpan++
    this.sent++
    return packetId
  }

  /**
   * The same for a message that is sent later, by `nextUnsent` and `markSent`.
   * @returns 0 when all identifiers are taken
   */
  assign(state: number, delivery: Delivery | null): number {
    if (this.span === PACKET_ID_MAX) return 0
    if (this.span === this.states.length) this.grow()
    const at = (this.head + this.span) & (this.states.length - 1)
    this.states[at] = state
    if (delivery !== null) this.hold(at, delivery)
    this.span++
    this.active++
    return idAfter(this.headId, this.span - 1)
  }

  /** @returns InflightState.NONE when the identifier is not in use */
  stateOf(packetId: number): number {
    const offset = this.offsetOf(packetId)
    if (offset < 0) return InflightState.NONE
    return this.states[(this.head + offset) & (this.states.length - 1)] as number
  }

  deliveryOf(packetId: number): Delivery | null {
    const offset = this.offsetOf(packetId)
    if (offset < 0 || this.deliveries === null) return null
    return this.deliveries[(this.head + offset) & (this.states.length - 1)] ?? null
  }

  /** PUBREC has come. The identifier must be in use. */
  release(packetId: number): void {
    const at = (this.head + this.offsetOf(packetId)) & (this.states.length - 1)
    this.states[at] = InflightState.RELEASED
  }

  /** The message is finished, its identifier free again. The identifier must be in use. */
  finish(packetId: number): void {
    const offset = this.offsetOf(packetId)
    const mask = this.states.length - 1
    const at = (this.head + offset) & mask
    this.states[at] = InflightState.NONE
    if (this.deliveries !== null) this.deliveries[at] = null
    this.active--
    if (offset < this.sentSpan) this.sent--
    if (offset !== 0) return
    while (this.span > 0 && this.states[this.head] === InflightState.NONE) this.dropHead()
  }

  /** The connection ended: what is in flight has to be sent again on the next one. */
  rewind(): void {
    this.sentSpan = 0
    this.sent = 0
  }

  /** The packet identifier that is next to be sent again, 0 when there is none. */
  nextUnsent(): number {
    while (this.sentSpan < this.span) {
      const at = (this.head + this.sentSpan) & (this.states.length - 1)
      if (this.states[at] !== InflightState.NONE) return idAfter(this.headId, this.sentSpan)
      this.sentSpan++
    }
    return 0
  }

  /** `nextUnsent()` has been sent again. */
  markSent(): void {
    this.sentSpan++
    this.sent++
  }

  /** Puts back what was stored, in the order it was sent. */
  restore(packetId: number, state: number, delivery: Delivery | null): void {
    if (this.span === 0) this.headId = packetId
    const offset = distance(this.headId, packetId)
    while (this.span <= offset) {
      if (this.span === this.states.length) this.grow()
      this.states[(this.head + this.span) & (this.states.length - 1)] = InflightState.NONE
      this.span++
    }
    const at = (this.head + offset) & (this.states.length - 1)
    this.states[at] = state
    if (delivery !== null) this.hold(at, delivery)
    this.active++
  }

  /** The packet identifier that the next message gets. */
  get nextId(): number {
    return idAfter(this.headId, this.span)
  }

  /** The next message gets this identifier, so that none comes again too soon. */
  continueAt(packetId: number): void {
    if (this.span === 0) {
      this.headId = packetId
      return
    }
    while (this.nextId !== packetId && this.span < PACKET_ID_MAX) {
      if (this.span === this.states.length) this.grow()
      this.states[(this.head + this.span) & (this.states.length - 1)] = InflightState.NONE
      this.span++
    }
  }

  /** Calls `visit` for each message in flight, oldest first. */
  each(visit: (packetId: number, state: number, delivery: Delivery | null) => void): void {
    const mask = this.states.length - 1
    const head = this.head
    const headId = this.headId
    for (let i = 0, span = this.span; i < span; i++) {
      const at = (head + i) & mask
      const state = this.states[at] as number
      if (state !== InflightState.NONE)
        visit(idAfter(headId, i), state, this.deliveries?.[at] ?? null)
    }
  }

  private offsetOf(packetId: number): number {
    const offset = distance(this.headId, packetId)
    return offset < this.span ? offset : -1
  }

  private dropHead(): void {
    this.head = (this.head + 1) & (this.states.length - 1)
    this.headId = idAfter(this.headId, 1)
    this.span--
    if (this.sentSpan > 0) this.sentSpan--
  }

  private hold(at: number, delivery: Delivery): void {
    if (this.deliveries === null) this.deliveries = new Array(this.states.length).fill(null)
    this.deliveries[at] = delivery
  }

  private grow(): void {
    const room = this.states.length
    const states = new Uint8Array(room * 2)
    const deliveries =
      this.deliveries === null ? null : new Array<Delivery | null>(room * 2).fill(null)
    for (let i = 0; i < this.span; i++) {
      const at = (this.head + i) & (room - 1)
      states[i] = this.states[at] as number
      if (deliveries !== null) deliveries[i] = this.deliveries?.[at] ?? null
    }
    this.states = states
    this.deliveries = deliveries
    this.head = 0
  }
}

/** The identifier `count` after `id`; 0 is left out. */
function idAfter(id: number, count: number): number {
  const next = id + count
  return next > PACKET_ID_MAX ? next - PACKET_ID_MAX : next
}

function distance(from: number, to: number): number {
  return to >= from ? to - from : to + PACKET_ID_MAX - from
}
