// What the broker writes, packet by packet: the facts that follow and the rules it is under.

import {
  type AckPacket,
  type ConnackPacket,
  type Packet,
  PacketType,
  type PublishPacket,
  type QoS,
  type SubackPacket,
  type UnsubackPacket,
} from '@godwit/packet'
import { readPayload } from '../payload.ts'
import { type ConnectionRecord, type Facts, NEVER, type SubscriptionRecord } from './facts.ts'
import { broken } from './failure.ts'
import { takePending, takeReleased } from './rules/acknowledgements.ts'
import * as delivery from './rules/delivery.ts'
import * as disconnects from './rules/disconnects.ts'
import { writeInOrder } from './rules/order.ts'
import * as retained from './rules/retained.ts'
import * as sessions from './rules/sessions.ts'
import * as wills from './rules/wills.ts'
import { writeAcknowledged } from './rules/window.ts'

const FAILURE = 0x80
/** For want of room or time (0x80, CONNACK has no code for that): 3 is that of MQTT 3.1.1. */
const REFUSALS: ReadonlySet<number> = new Set([3, 0x80, 0x88, 0x89, 0x95, 0x97, 0x9f])

export interface AnswerOptions {
  readonly legacySessionExpirySeconds: number
}

export class Answers {
  readonly #facts: Facts
  readonly #options: AnswerOptions

  constructor(facts: Facts, options: AnswerOptions) {
    this.#facts = facts
    this.#options = options
  }

  write(connection: ConnectionRecord, packet: Packet, byteLength: number): void {
    const who = connection.connect.clientId
    disconnects.checkSilence(connection, packet.type)
    if (byteLength > connection.packetBytesMax) {
      broken('packet-size', `${who} gets ${byteLength} bytes, at most ${connection.packetBytesMax}`)
    }
    if (packet.type === PacketType.CONNACK) {
      this.#connack(connection, packet)
      return
    }
    if (connection.openAt === NEVER) broken('connack', `${who} gets a packet before CONNACK`)
    switch (packet.type) {
      case PacketType.PUBLISH:
        this.#publish(connection, packet)
        break
      case PacketType.PUBACK:
      case PacketType.PUBREC:
        this.#acknowledge(connection, packet)
        break
      case PacketType.PUBREL:
        connection.pubrel.delete(packet.packetId)
        break
      case PacketType.PUBCOMP:
        takeReleased(connection, packet.packetId)
        break
      case PacketType.SUBACK:
        this.#suback(connection, packet)
        break
      case PacketType.UNSUBACK:
        this.#unsuback(connection, packet)
        break
      case PacketType.PINGRESP:
        if (connection.pings-- === 0) broken('answer', `${who} gets PINGRESP and had not asked`)
        break
      case PacketType.DISCONNECT:
        disconnects.write(this.#facts, connection, packet.reasonCode)
        break
      default:
    }
  }

  #connack(connection: ConnectionRecord, packet: ConnackPacket): void {
    const facts = this.#facts
    const { clientId } = connection.connect
    if (connection.openAt !== NEVER) broken('connack', `${clientId} gets a second CONNACK`)
    if (connection.isClosed) {
      // It was taken over in the turn in which it came.
      connection.openAt = facts.at
      return
    }
    const connecting = facts.connecting.get(clientId) ?? []
    const at = connecting.indexOf(connection)
    if (at >= 0) connecting.splice(at, 1)
    if (packet.reasonCode !== 0) {
      if (!connection.isStranger && !REFUSALS.has(packet.reasonCode)) {
        broken('login', `${clientId} may come in and is refused with ${packet.reasonCode}`)
      }
      connection.isClosed = true
      if (connection.will !== null) connection.will.publication.forbidden = 'CONNECT was refused'
      return
    }
    const keepAliveSeconds =
      packet.properties.serverKeepAlive ?? connection.connect.keepAliveSeconds
    connection.keepAliveMs = keepAliveSeconds * 1000
    sessions.open(facts, connection, packet, this.#options.legacySessionExpirySeconds)
  }

  #publish(connection: ConnectionRecord, packet: PublishPacket): void {
    const facts = this.#facts
    const life = connection.life
    if (life === null) return
    const topic = this.#topicOf(connection, packet)
    const key = readPayload(packet.payload)
    const who = life.clientId
    if (key === null) broken('payload', `${who} gets a payload on ${topic} that nobody has sent`)
    if (key === '') {
      // A message without a payload cannot be told from another one.
      if (packet.qos > 0) connection.window.set(packet.packetId, key)
      if (packet.qos > 0 && connection.window.size > connection.receiveMaximum) {
        broken('receive-maximum', `${who}: ${connection.window.size} messages in flight`)
      }
      return
    }
    const publication = facts.publications.get(key)
    if (publication === undefined) broken('payload', `${who} gets ${key}, which nobody has sent`)
    const known = { ...packet, topic }
    wills.write(facts, life, publication)
    const records = delivery.writePublish(facts, connection, life, known, publication)
    retained.writeRetained(facts, connection, life, known, publication, records)
    writeInOrder(facts, life, known, publication, records)
    if (packet.qos > 0) writeAcknowledged(facts, connection, life, known, key)
  }

  #topicOf(connection: ConnectionRecord, packet: PublishPacket): string {
    const alias = packet.properties.topicAlias
    if (alias === undefined) return packet.topic
    const who = connection.connect.clientId
    if (alias > connection.aliasMaximum) {
      broken('alias', `${who} gets alias ${alias}, at most ${connection.aliasMaximum}`)
    }
    if (packet.topic !== '') connection.outgoingAliases.set(alias, packet.topic)
    const topic = connection.outgoingAliases.get(alias)
    if (topic === undefined) broken('alias', `${who} gets alias ${alias}, which stands for nothing`)
    return topic
  }

  #acknowledge(connection: ConnectionRecord, packet: AckPacket): void {
    const isFirst = packet.type === PacketType.PUBACK
    const pending = isFirst ? connection.puback : connection.pubrec
    const name = isFirst ? 'PUBACK' : 'PUBREC'
    const publication = takePending(connection, pending, name, packet.packetId)
    const { coverage, nowMs } = this.#facts
    if (nowMs > publication.lastMs) coverage.count('an acknowledgement waits for the store')
    const isQuota = packet.reasonCode === 0x97
    if (isQuota && this.#facts.isFull) coverage.count('a full disk refuses a message')
    if (packet.reasonCode >= FAILURE) publication.isRefused = true
    else {
      publication.isRefused = false
      delivery.acknowledge(this.#facts, publication)
    }
  }

  #suback(connection: ConnectionRecord, packet: SubackPacket): void {
    const facts = this.#facts
    // It was taken over in the turn in which it came, and nobody knows of which session it was.
    if (connection.life === null) return
    const records = connection.suback.get(packet.packetId)
    const who = connection.connect.clientId
    if (records === undefined) broken('suback', `${who}: SUBACK ${packet.packetId} for nothing`)
    connection.suback.delete(packet.packetId)
    if (records.length !== packet.reasonCodes.length) {
      broken('suback', `${who} asked for ${records.length} and gets ${packet.reasonCodes.length}`)
    }
    records.forEach((record, index) => {
      const code = packet.reasonCodes[index] ?? FAILURE
      if (code >= FAILURE) record.possibleUntil = record.possibleFrom - 1
      else this.#grant(connection, record, code as QoS)
    })
    for (const record of records) {
      const isNow = record.certainFrom === facts.at && record.certainUntil === NEVER
      if (isNow && record.mustHaveRetained) retained.oweRetained(facts, connection, record)
    }
  }

  #grant(connection: ConnectionRecord, record: SubscriptionRecord, code: QoS): void {
    const facts = this.#facts
    if (code > record.qos) {
      broken('suback', `${connection.connect.clientId} asked for QoS ${record.qos}, gets ${code}`)
    }
    record.granted = code
    record.certainFrom = facts.at
    for (const other of record.life.records) {
      if (other.filter !== record.filter || other.possibleFrom >= record.possibleFrom) continue
      other.possibleUntil = Math.min(other.possibleUntil, facts.at)
    }
  }

  #unsuback(connection: ConnectionRecord, packet: UnsubackPacket): void {
    const { packetId } = packet
    if (connection.life === null) return
    const asked = connection.unsuback.get(packetId)
    const who = connection.connect.clientId
    if (asked === undefined) broken('unsuback', `${who}: UNSUBACK ${packetId} for nothing`)
    connection.unsuback.delete(packetId)
    const { at, filters, codes } = asked
    if (connection.connect.protocolLevel === 5) {
      const isRight =
        codes.length === packet.reasonCodes.length &&
        codes.every((code, index) => code === null || code === packet.reasonCodes[index])
      const got = packet.reasonCodes.join(' ')
      if (!isRight) broken('unsuback', `${who} gets ${got} for ${filters.join(' ')}, not ${codes}`)
    }
    for (const record of connection.life?.records ?? []) {
      // One that was asked for later is another one.
      if (!filters.includes(record.filter) || record.possibleFrom >= at) continue
      record.possibleUntil = Math.min(record.possibleUntil, this.#facts.at)
    }
  }
}
