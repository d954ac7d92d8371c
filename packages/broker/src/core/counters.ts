// Numbers that are counted on the way, for $SYS, metrics and tests. Plain fields, nothing computed.

export class Counters {
  bytesReceived = 0
  bytesSent = 0
  packetsReceived = 0
  packetsSent = 0
  /** PUBLISH packets in; PUBLISH packets out. */
  publishReceived = 0
  publishSent = 0
  /** Of those, the ones of QoS 1 and 2; the others are QoS 0, whose way has to be short. */
  publishReceivedQos1 = 0
  publishReceivedQos2 = 0
  publishSentQos1 = 0
  publishSentQos2 = 0
  publishBytesReceived = 0
  publishBytesSent = 0
  /** Messages that were lost are in the ledger; these are those for nobody. */
  unmatched = 0
  connectionsOpened = 0
  connectionsRefused = 0
  /** The same by reason code; 0: it was turned away before there was any. */
  readonly refusedByReason: Float64Array = new Float64Array(256)
  connectionsNow = 0
  clientsConnected = 0
  clientsMaximum = 0
  clientsExpired = 0
  protocolErrors = 0
  keepAliveTimeouts = 0
  takeovers = 0
  willsPublished = 0
  authenticationFailures = 0

  refused(reasonCode: number): void {
    this.connectionsRefused++
    const at = reasonCode & 0xff
    this.refusedByReason[at] = (this.refusedByReason[at] ?? 0) + 1
  }
}
