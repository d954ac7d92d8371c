// hot
// Looks at a PUBLISH frame where it lies, without making an object of it: where its parts are, and
// that everything but the topic is well-formed. A broker forwards what it has looked at like this.

import { PropertyId, ReasonCode } from './constants.ts'
import { PacketError } from './errors.ts'
import { isWellFormedUtf8 } from './utf8.ts'

const NO_EXPIRY = -1
const KNOWN_PROPERTIES = 64
const KNOWN_BYTES_MAX = 256

/** The parts of one PUBLISH. MQTT 5.0 section 3.3. Fields are valid until the next `read`. */
export class PublishView {
  qos = 0
  retain = false
  dup = false
  /** 0 when QoS is 0. */
  packetId = 0
  /** Offset of the packet identifier, when QoS is above 0. */
  packetIdAt = 0
  topicStart = 0
  topicEnd = 0
  /** Offsets of the properties without their length; equal when there are none. */
  propertiesStart = 0
  propertiesEnd = 0
  payloadStart = 0
  end = 0
  /** 0 when there is none. */
  topicAlias = 0
  /** Seconds, or -1 when there is none. */
  messageExpiryInterval: number = NO_EXPIRY
  userPropertyCount = 0
  private readonly known: (Uint8Array | null)[] = new Array(KNOWN_PROPERTIES).fill(null)
  private readonly knownUsers = new Uint16Array(KNOWN_PROPERTIES)

  /**
   * Reads the frame whose first byte is `first` and whose body is `bytes[at, end)`.
   * The topic's UTF-8 is left to whoever makes a string of it.
   * @throws PacketError `malformed-packet` or `protocol-error`
   */
  read(first: number, bytes: Uint8Array, at: number, end: number, level: number): void {
    const qos = (first >> 1) & 3
    if (qos === 3) malformed('QoS is 3') // [MQTT-3.3.1-4]
    this.qos = qos
    this.retain = (first & 1) !== 0
    this.dup = (first & 8) !== 0
    if (this.dup && qos === 0) malformed('DUP is set on QoS 0') // [MQTT-3.3.1-2]
    if (at + 2 > end) malformed('it ends within the length of the topic')
    const topicStart = at + 2
    let next = topicStart + ((bytes[at]! << 8) | bytes[at + 1]!)
    this.topicStart = topicStart
    this.topicEnd = next
    if (next > end) malformed('it ends within the topic')
    this.packetId = 0
    if (qos > 0) {
      if (next + 2 > end) malformed('it ends within the packet identifier')
      this.packetIdAt = next
      this.packetId = (bytes[next]! << 8) | bytes[next + 1]!
      if (this.packetId === 0) protocolError('a packet identifier is 0, expected 1 to 65535')
      next += 2
    }
    this.topicAlias = 0
    this.messageExpiryInterval = NO_EXPIRY
    this.userPropertyCount = 0
    if (level === 5) next = this.readProperties(bytes, next, end)
    else this.propertiesStart = this.propertiesEnd = next
    if (topicStart === this.topicEnd && this.topicAlias === 0) {
      protocolError('an empty topic without a topic alias') // [MQTT-4.7.3-1]
    }
    this.payloadStart = next
    this.end = end
  }

  private readProperties(bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) malformed('it ends before the length of the properties')
    let length = bytes[at]!
    let start = at + 1
    if (length >= 128) {
      start = readLength(bytes, at, end)
      length = lengthRead
    }
    const stop = start + length
    if (stop > end) malformed('it ends within the properties')
    this.propertiesStart = start
    this.propertiesEnd = stop
    if (length > 0) this.checkProperties(bytes, start, stop)
    return stop
  }

  /**
   * Properties that were well-formed once are well-formed again: most publishers repeat the very
   * bytes. Only those are remembered whose meaning is not kept in a field.
   */
  private checkProperties(bytes: Uint8Array, start: number, stop: number): void {
    const length = stop - start
    const slot = (length * 31 + bytes[stop - 1]! * 7 + bytes[start]!) % KNOWN_PROPERTIES
    const known = this.known[slot]!
    if (known !== null && known.length === length) {
      let i = 0
      while (i < length && known[i] === bytes[start + i]) i++
      if (i === length) {
        this.userPropertyCount = this.knownUsers[slot]!
        return
      }
    }
    this.scanProperties(bytes, start, stop)
    if (this.topicAlias !== 0 || this.messageExpiryInterval >= 0) return
    if (length > KNOWN_BYTES_MAX) return
    this.known[slot] = bytes.slice(start, stop)
    this.knownUsers[slot] = this.userPropertyCount
  }

  private scanProperties(bytes: Uint8Array, start: number, stop: number): void {
    let seen = 0
    let at = start
    while (at < stop) {
      const id = bytes[at++]!
      if (id === PropertyId.USER_PROPERTY) {
        at = skipString(bytes, skipString(bytes, at, stop), stop) // [MQTT-1.5.7-1]
        this.userPropertyCount++
        continue
      }
      if (id < 32 && (seen & (1 << id)) !== 0) protocolError(`property ${id} is repeated`)
      if (id < 32) seen |= 1 << id
      at = this.scanProperty(id, bytes, at, stop)
    }
    if (at !== stop) malformed('a property goes past the end of the properties')
  }

  private scanProperty(id: number, bytes: Uint8Array, at: number, stop: number): number {
    switch (id) {
      case PropertyId.PAYLOAD_FORMAT_INDICATOR:
        if (at + 1 > stop) malformed('it ends within the payload format indicator')
        if (bytes[at]! > 1) protocolError(`the payload format indicator is ${bytes[at]}`)
        return at + 1
      case PropertyId.MESSAGE_EXPIRY_INTERVAL:
        if (at + 4 > stop) malformed('it ends within the message expiry interval')
        this.messageExpiryInterval =
          bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
        return at + 4
      case PropertyId.CONTENT_TYPE: // [MQTT-3.3.2-19]
        return skipString(bytes, at, stop)
      case PropertyId.RESPONSE_TOPIC: // [MQTT-3.3.2-13]
        return skipResponseTopic(bytes, at, stop)
      case PropertyId.CORRELATION_DATA:
        return skipBinary(bytes, at, stop)
      case PropertyId.TOPIC_ALIAS:
        if (at + 2 > stop) malformed('it ends within the topic alias')
        if (this.topicAlias !== 0) protocolError('the topic alias is repeated')
        this.topicAlias = (bytes[at]! << 8) | bytes[at + 1]!
        if (this.topicAlias === 0) invalidAlias() // [MQTT-3.3.2-8]
        return at + 2
      case PropertyId.SUBSCRIPTION_IDENTIFIER:
        return protocolError("a client's PUBLISH has a subscription identifier") // [MQTT-3.3.4-6]
      default:
        return malformed(`property ${id} does not belong into a PUBLISH`)
    }
  }
}

let lengthRead = 0

function readLength(bytes: Uint8Array, at: number, end: number): number {
  let factor = 1
  lengthRead = 0
  for (let i = 0; i < 4; i++) {
    if (at + i >= end) malformed('it ends within the length of the properties')
    const byte = bytes[at + i]!
    lengthRead += (byte & 127) * factor
    if (byte < 128) {
      // [MQTT-1.5.5-1]
      if (byte === 0 && i > 0) malformed('the length of the properties is overlong')
      return at + i + 1
    }
    factor *= 128
  }
  return malformed('the length of the properties has more than 4 bytes')
}

function skipBinary(bytes: Uint8Array, at: number, stop: number): number {
  if (at + 2 > stop) malformed('it ends within the length of a property')
  const end = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!)
  if (end > stop) malformed('a property goes past the end of the properties')
  return end
}

function skipString(bytes: Uint8Array, at: number, stop: number): number {
  const end = skipBinary(bytes, at, stop)
  for (let i = at + 2; i < end; i++) {
    const byte = bytes[i]!
    if (byte === 0 || byte > 127) {
      if (isWellFormedUtf8(bytes, at + 2, end)) return end
      malformed('a property is not well-formed UTF-8') // [MQTT-1.5.4-1] [MQTT-1.5.4-2]
    }
  }
  return end
}

function skipResponseTopic(bytes: Uint8Array, at: number, stop: number): number {
  const end = skipString(bytes, at, stop)
  if (end === at + 2) protocolError('the response topic is empty')
  for (let i = at + 2; i < end; i++) {
    const byte = bytes[i]
    // [MQTT-3.3.2-14]
    if (byte === 0x23 || byte === 0x2b) protocolError('the response topic has a wildcard')
  }
  return end
}

function malformed(what: string): never {
  throw new PacketError('malformed-packet', ReasonCode.MALFORMED_PACKET, `PUBLISH: ${what}`)
}

function protocolError(what: string): never {
  throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, `PUBLISH: ${what}`)
}

function invalidAlias(): never {
  const message = 'PUBLISH: a topic alias is 0'
  throw new PacketError('topic-alias-invalid', ReasonCode.TOPIC_ALIAS_INVALID, message)
}
