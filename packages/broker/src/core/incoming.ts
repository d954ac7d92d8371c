// hot
// Bytes of packets that have not come to their end, and of CONNECT packets that are not answered: a
// peer may begin a packet and never end it, as often as it may connect. When all of them together
// are too much, the one that was begun first makes room: who sends at all has ended it long before.

import { ReasonCode } from '@godwit/packet'
import type { Broker } from './broker.ts'
import { type Connection, ConnectionState } from './connection.ts'
import { refuseConnect } from './handlers/connect.ts'
import { INCOMING_SHARE_BYTES } from './limits.ts'

export class Incoming {
  byteCount = 0
  private readonly broker: Broker
  /** Those with more than their share, by when they came to have it. */
  private readonly large = new Set<Connection>()

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** The connection has another number of bytes than before. */
  changed(connection: Connection): void {
    const before = connection.incomingBytes
    const byteCount = connection.unfinishedBytes
    connection.incomingBytes = byteCount
    this.byteCount += byteCount - before
    // One packet was ended, and another has begun.
    if (byteCount < before) this.large.delete(connection)
    if (byteCount > INCOMING_SHARE_BYTES) this.large.add(connection)
    if (this.byteCount > this.broker.limits.totalIncomingBytesMax) this.makeRoom()
  }

  private makeRoom(): void {
    const most = this.broker.limits.totalIncomingBytesMax
    for (const connection of this.large) {
      if (this.byteCount <= most) return
      const own = `${connection.incomingBytes} of ${this.byteCount} bytes`
      this.end(connection, `unfinished packets have ${own}, the limit is ${most}`)
    }
  }

  private end(connection: Connection, text: string): void {
    const { broker } = this
    if (connection.state === ConnectionState.OPEN) {
      broker.close(connection, ReasonCode.QUOTA_EXCEEDED, text)
    } else refuseConnect(broker, connection, ReasonCode.QUOTA_EXCEEDED, text)
  }
}
