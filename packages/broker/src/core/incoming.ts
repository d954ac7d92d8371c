// hot
// Bytes of packets that have not come to their end, and of CONNECT packets that are not answered: a
// peer may begin a packet and never end it, as often as it may connect. When all of them together
// are too much, the one that was begun first makes room: who sends at all has ended it long before.
// Who is not let in yet costs those that are nothing, as long as these leave half of the room.

import { ReasonCode } from '@godwit/packet'
import type { Broker } from './broker.ts'
import { type Connection, ConnectionState } from './connection.ts'
import { refuseConnect } from './handlers/connect.ts'
import { INCOMING_SHARE_BYTES } from './limits.ts'

export class Incoming {
  byteCount = 0
  private readonly broker: Broker
  /** Clients with more than their share, by when they came to have it. */
  private readonly large = new Set<Connection>()
  /** The same of those that are not let in yet, with the bytes of each. */
  private readonly strangers = new Map<Connection, number>()
  private strangerBytes = 0

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** The connection has another number of bytes than before. */
  changed(connection: Connection): void {
    const before = connection.incomingBytes
    const byteCount = connection.unfinishedBytes
    connection.incomingBytes = byteCount
    this.byteCount += byteCount - before
    const isStranger = connection.state < ConnectionState.OPEN
    // One packet was ended, and another has begun.
    if (byteCount < before) this.large.delete(connection)
    if (byteCount < before || !isStranger) this.forgetStranger(connection)
    if (byteCount > INCOMING_SHARE_BYTES) {
      if (isStranger) this.addStranger(connection, byteCount)
      else this.large.add(connection)
    }
    const isTooMuch = this.byteCount > this.broker.limits.totalIncomingBytesMax
    if (isTooMuch && byteCount > before) this.makeRoom()
  }

  private addStranger(connection: Connection, byteCount: number): void {
    this.strangerBytes += byteCount - (this.strangers.get(connection) ?? 0)
    this.strangers.set(connection, byteCount)
  }

  private forgetStranger(connection: Connection): void {
    if (this.strangers.size === 0) return
    this.strangerBytes -= this.strangers.get(connection) ?? 0
    this.strangers.delete(connection)
  }

  private makeRoom(): void {
    const most = this.broker.limits.totalIncomingBytesMax
    while (this.byteCount > most) {
      const connection = this.next(most)
      if (connection === undefined) return
      const own = `${connection.incomingBytes} of ${this.byteCount} bytes`
      this.end(connection, `unfinished packets have ${own}, the limit is ${most}`)
    }
  }

  /** Who has to make room. Once it is ended it is in none of them. */
  private next(most: number): Connection | undefined {
    const [stranger] = this.strangers.keys()
    if (this.strangerBytes > most / 2) return stranger
    const [client = stranger] = this.large
    return client
  }

  private end(connection: Connection, text: string): void {
    const { broker } = this
    if (connection.state === ConnectionState.OPEN) {
      broker.close(connection, ReasonCode.QUOTA_EXCEEDED, text)
    } else refuseConnect(broker, connection, ReasonCode.QUOTA_EXCEEDED, text)
  }
}
