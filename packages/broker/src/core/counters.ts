// Numbers that are counted on the way, for $SYS, metrics and tests. Plain fields, nothing computed.

export class Counters {
  bytesReceived = 0
  bytesSent = 0
  packetsReceived = 0
  packetsSent = 0
  /** PUBLISH packets in; PUBLISH packets out. */
  publishReceived = 0
  publishSent = 0
  publishBytesReceived = 0
  publishBytesSent = 0
  /** Messages that were lost are in the ledger; these are those for nobody. */
  unmatched = 0
  connectionsOpened = 0
  connectionsRefused = 0
  connectionsNow = 0
  clientsConnected = 0
  clientsMaximum = 0
  clientsExpired = 0
  protocolErrors = 0
  keepAliveTimeouts = 0
  takeovers = 0
  willsPublished = 0
  authenticationFailures = 0
}
