// CONNECT, the packet that says which version all others are of. MQTT 5.0 section 3.1.

import { PacketType, type ProtocolLevel, type QoS } from './constants.ts'
import { checkInteger, checkObject, invalidPacket, malformed, refuse } from './errors.ts'
import { checkFlags, checkQoS } from './fields.ts'
import type { ConnectPacket, Will } from './packets.ts'
import { checkTopicNameToWrite, readProperties, WILL, writeProperties } from './properties.ts'
import type { Reader } from './reader.ts'
import { checkTopicName } from './topic.ts'
import type { Writer } from './writer.ts'

const BRIDGE = 0x80

const Flag = {
  RESERVED: 0x01,
  CLEAN_START: 0x02,
  WILL: 0x04,
  WILL_RETAIN: 0x20,
  PASSWORD: 0x40,
  USERNAME: 0x80,
} as const

const WILL_QOS_SHIFT = 3
const WILL_SETTINGS = 0x38

/**
 * The level is in the packet itself.
 * @throws PacketError `unsupported-protocol-version`, `client-identifier-not-valid`,
 * `topic-name-invalid` of the will, `malformed-packet`, `protocol-error`
 */
export function readConnect(reader: Reader, first: number): ConnectPacket {
  checkFlags(first, 0, 5)
  const name = reader.string()
  const versionByte = reader.uint8()
  const protocolLevel = levelOf(name, versionByte)
  const flags = reader.uint8()
  checkConnectFlags(flags, protocolLevel)
  const keepAliveSeconds = reader.uint16()
  const properties = readProperties(reader, PacketType.CONNECT, protocolLevel)
  const clientId = reader.string() // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  const cleanStart = (flags & Flag.CLEAN_START) !== 0
  if (needsClientId(protocolLevel, cleanStart) && clientId === '') {
    refuse('client-identifier-not-valid', 0x85, 'the client identifier is empty') // [MQTT-3.1.3-8]
  }
  const will = (flags & Flag.WILL) !== 0 ? readWill(reader, flags, protocolLevel) : null
  // MQTT 3.1 lets a client announce a user name and a password and then leave them out.
  const mayEnd = protocolLevel === 3
  const hasUsername = (flags & Flag.USERNAME) !== 0 && !(mayEnd && reader.at === reader.end)
  const username = hasUsername ? reader.string() : null // [MQTT-3.1.2-17] [MQTT-3.1.3-12]
  const hasPassword = (flags & Flag.PASSWORD) !== 0 && !(mayEnd && reader.at === reader.end)
  const password = hasPassword ? reader.binary() : null // [MQTT-3.1.2-19]
  reader.finish() // [MQTT-3.1.2-16] [MQTT-3.1.2-18]
  return {
    type: PacketType.CONNECT,
    protocolLevel,
    cleanStart,
    keepAliveSeconds,
    clientId,
    will,
    username,
    password,
    bridge: (versionByte & BRIDGE) !== 0,
    properties,
  }
}

function levelOf(name: string, versionByte: number): ProtocolLevel {
  const level = versionByte & ~BRIDGE
  if (name === 'MQTT' && (level === 4 || level === 5)) return level
  if (name === 'MQIsdp' && level === 3) return level
  // [MQTT-3.1.2-1] [MQTT-3.1.2-2]
  const protocol = `${JSON.stringify(name.slice(0, 10))} level ${level}`
  const text = `expected "MQTT" level 4 or 5, got ${protocol}`
  refuse('unsupported-protocol-version', 0x84, text)
}

function checkConnectFlags(flags: number, level: ProtocolLevel): void {
  if ((flags & Flag.RESERVED) !== 0) malformed('the reserved connect flag is set') // [MQTT-3.1.2-3]
  if ((flags & Flag.WILL) === 0) {
    // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
    if ((flags & WILL_SETTINGS) !== 0)
      malformed('the QoS or retain flag of a will that is not there')
  } else if ((flags & 0x18) === 0x18) {
    malformed('the will has QoS 3') // [MQTT-3.1.2-12] [MQTT-3.1.2-14 v3]
  }
  if (level < 5 && (flags & (Flag.USERNAME | Flag.PASSWORD)) === Flag.PASSWORD) {
    malformed('a password without a user name') // [MQTT-3.1.2-22 v3]
  }
}

/** MQTT 3.1 has no anonymous clients, 3.1.1 only those with a clean session. */
function needsClientId(level: ProtocolLevel, cleanStart: boolean): boolean {
  return level === 3 || (level === 4 && !cleanStart) // [MQTT-3.1.3-7 v3] [MQTT-3.1.3-8 v3]
}

function readWill(reader: Reader, flags: number, level: ProtocolLevel): Will {
  const properties = readProperties(reader, WILL, level)
  const topic = reader.string() // [MQTT-3.1.3-11]
  checkTopicName(topic)
  return {
    topic,
    payload: reader.binary(), // [MQTT-3.1.2-9]
    qos: ((flags >> WILL_QOS_SHIFT) & 3) as QoS,
    retain: (flags & Flag.WILL_RETAIN) !== 0,
    properties,
  }
}

/** Writes the packet in its own protocol level. */
export function writeConnect(writer: Writer, packet: ConnectPacket): void {
  const { protocolLevel: level, cleanStart, clientId, will, username, password } = packet
  if (level !== 3 && level !== 4 && level !== 5) invalidPacket('a protocol level 3, 4 or 5', level)
  if (needsClientId(level, cleanStart) && clientId === '') {
    invalidPacket('a client identifier', clientId)
  }
  if (level < 5 && password !== null && username === null) {
    invalidPacket('a user name with the password', username)
  }
  writer.uint8(PacketType.CONNECT << 4)
  const mark = writer.open()
  writer.string(level === 3 ? 'MQIsdp' : 'MQTT', 'protocol')
  writer.uint8(packet.bridge ? level | BRIDGE : level)
  let flags = cleanStart ? Flag.CLEAN_START : 0
  if (username !== null) flags |= Flag.USERNAME
  if (password !== null) flags |= Flag.PASSWORD
  if (will !== null) {
    checkObject(will, 'a will')
    checkQoS(will.qos)
    checkTopicNameToWrite(will.topic, 'a topic of the will')
    flags |= Flag.WILL | (will.qos << WILL_QOS_SHIFT) | (will.retain ? Flag.WILL_RETAIN : 0)
  }
  writer.uint8(flags)
  checkInteger(packet.keepAliveSeconds, 0, 65_535, 'a keep alive in seconds')
  writer.uint16(packet.keepAliveSeconds)
  writeProperties(writer, packet.properties, PacketType.CONNECT, level)
  writer.string(clientId, 'a client identifier') // [MQTT-3.1.3-1]
  if (will !== null) {
    writeProperties(writer, will.properties, WILL, level)
    writer.string(will.topic, 'a topic of the will')
    writer.binary(will.payload, 'a payload of the will')
  }
  if (username !== null) writer.string(username, 'a user name')
  if (password !== null) writer.binary(password, 'a password')
  writer.close(mark)
}
