// Connections that take over a session whose old connection is behind: it rests for its share of
// the turn, or a hook is asked about what it sent. What had come before the takeover is handled
// first, then the old connection ends and the new one has its CONNACK.

import { ReasonCode } from '@godwit/packet'
import type { Broker } from './broker.ts'
import { type Connection, ConnectionState } from './connection.ts'

export class Takeovers {
  private readonly broker: Broker
  /** Of an old connection those that came for its session, in their order. */
  private readonly newcomers = new Map<Connection, Connection[]>()

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** Connections wait. */
  get wait(): boolean {
    return this.newcomers.size > 0
  }

  /** @returns false when nothing of `other` is left to be handled */
  holdsUp(other: Connection, newcomer: Connection): boolean {
    if (!other.isBehind) return false
    other.leaving = true
    const newcomers = this.newcomers.get(other)
    if (newcomers === undefined) this.newcomers.set(other, [newcomer])
    else newcomers.push(newcomer)
    return true
  }

  /** A turn ends: whose predecessor has caught up, or is gone, goes on. */
  goOn(): void {
    for (const [other, newcomers] of [...this.newcomers]) {
      if (!other.isBehind) this.letIn(other, newcomers)
    }
  }

  /**
   * The time of a newcomer is over, so that of the other connection is: what is left of it stays
   * as unread as what the system still has.
   * @returns false when the connection waits for something else
   */
  isLate(newcomer: Connection): boolean {
    for (const [other, newcomers] of this.newcomers) {
      if (!newcomers.includes(newcomer)) continue
      const { session } = other
      if (session !== null) session.takenOver = true
      this.end(other)
      this.letIn(other, newcomers)
      return true
    }
    return false
  }

  private letIn(other: Connection, newcomers: readonly Connection[]): void {
    this.newcomers.delete(other)
    let count = 0
    for (const { waitingFor, state } of newcomers) {
      if (waitingFor === 0 || state !== ConnectionState.AUTHENTICATING) continue
      count++
      this.broker.decided(waitingFor, null)
    }
    // They have gone again: that they came has ended the other one all the same.
    if (count === 0) this.end(other)
  }

  private end(other: Connection): void {
    if (other.state === ConnectionState.OPEN) this.broker.counters.takeovers++
    this.broker.close(other, ReasonCode.SESSION_TAKEN_OVER, 'taken over')
  }
}
