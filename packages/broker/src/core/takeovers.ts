// Of several connections of one client the last one stays. Its old connection may be behind: it
// rests for its share of the turn, or a hook is asked about what it sent. What had come before the
// takeover is handled first, then the old connection ends and the new one has its CONNACK. Who has
// sent no more than CONNECT and is followed meanwhile is not let in at all.

import { ReasonCode } from '@godwit/packet'
import type { Broker } from './broker.ts'
import { type Connection, ConnectionState } from './connection.ts'
import { giveWay } from './handlers/connect.ts'

interface Newcomer {
  readonly connection: Connection
  readonly cleanStart: boolean
}

/** Those that came for the session of one old connection, in their order. */
interface Waiting {
  /** The old connection has no longer to catch up, however often its client comes meanwhile. */
  readonly untilMs: number
  readonly newcomers: Newcomer[]
}

export class Takeovers {
  private readonly broker: Broker
  /** By the old connection. */
  private readonly waiting = new Map<Connection, Waiting>()
  /** By client id those whose CONNECT has come and is not answered. */
  private readonly undecided = new Map<string, Connection[]>()

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** Connections wait. */
  get wait(): boolean {
    return this.waiting.size > 0
  }

  /** The answer to its CONNECT will take a while. */
  asked(connection: Connection): void {
    const { clientId } = connection
    const others = this.undecided.get(clientId)
    if (others === undefined) this.undecided.set(clientId, [connection])
    else others.push(connection)
  }

  /**
   * It is let in: whose CONNECT came before and is still not answered comes too late. If it came in
   * after all it would bring messages of a session that has gone on since.
   */
  admitted(connection: Connection): void {
    if (this.undecided.size === 0) return
    this.forget(connection)
    for (const other of [...(this.undecided.get(connection.clientId) ?? [])]) {
      if (other.arrival < connection.arrival) giveWay(this.broker, other, connection)
    }
  }

  /** It is decided about, or gone. */
  forget(connection: Connection): void {
    if (this.undecided.size === 0) return
    const { clientId } = connection
    const others = this.undecided.get(clientId)
    const at = others?.indexOf(connection) ?? -1
    if (others === undefined || at < 0) return
    others.splice(at, 1)
    if (others.length === 0) this.undecided.delete(clientId)
  }

  /** @returns false when nothing of `other` is left to be handled */
  holdsUp(other: Connection, connection: Connection, cleanStart: boolean): boolean {
    if (!other.isBehind) return false
    const { broker } = this
    other.leaving = true
    let waiting = this.waiting.get(other)
    if (waiting === undefined) {
      const untilMs = broker.nowMs + broker.limits.connectTimeoutMs
      waiting = { untilMs, newcomers: [] }
      this.waiting.set(other, waiting)
    }
    this.supersede(waiting.newcomers, connection, cleanStart)
    waiting.newcomers.push({ connection, cleanStart })
    broker.wheel.set(connection.timer, waiting.untilMs)
    return true
  }

  /**
   * Let in one after the other, each would end with a will for nothing. What somebody has sent
   * without waiting for CONNACK counts, and so does a clean start that nobody repeats. It looks no
   * further than to the last one that stays: those before it had been looked at when that came.
   */
  private supersede(newcomers: Newcomer[], connection: Connection, cleanStart: boolean): void {
    for (let last = newcomers.at(-1); last !== undefined; last = newcomers.at(-1)) {
      const first = last.connection
      if (isWaiting(first)) {
        if (first.hasRest || first.arrival > connection.arrival) return
        if (last.cleanStart && !cleanStart) return
        giveWay(this.broker, first, connection)
      }
      newcomers.pop()
    }
  }

  /** A turn ends: whose predecessor has caught up, or is gone, goes on. */
  goOn(): void {
    for (const [other, { newcomers }] of [...this.waiting]) {
      if (!other.isBehind) this.letIn(other, newcomers)
    }
  }

  /**
   * The time of a newcomer is over, so that of the other connection is: what is left of it stays
   * as unread as what the system still has.
   * @returns false when the connection waits for something else
   */
  isLate(connection: Connection): boolean {
    for (const [other, { newcomers }] of this.waiting) {
      if (!newcomers.some(newcomer => newcomer.connection === connection)) continue
      const { session } = other
      if (session !== null) session.takenOver = true
      this.end(other)
      this.letIn(other, newcomers)
      return true
    }
    return false
  }

  private letIn(other: Connection, newcomers: readonly Newcomer[]): void {
    this.waiting.delete(other)
    let count = 0
    for (const { connection } of newcomers) {
      if (!isWaiting(connection)) continue
      count++
      this.broker.decided(connection.waitingFor, null)
    }
    // They have gone again: that they came has ended the other one all the same.
    if (count === 0) this.end(other)
  }

  private end(other: Connection): void {
    if (other.state === ConnectionState.OPEN) this.broker.counters.takeovers++
    this.broker.close(other, ReasonCode.SESSION_TAKEN_OVER, 'taken over')
  }
}

function isWaiting({ waitingFor, state }: Connection): boolean {
  return waitingFor !== 0 && state === ConnectionState.AUTHENTICATING
}
