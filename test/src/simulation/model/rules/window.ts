// In flight never above Receive Maximum; no packet identifier in use twice; DUP on what was sent
// before and on nothing else. MQTT 5.0 sections 2.2.1, 3.3.1.1, 4.4 and 4.9.

import { PacketType, type PublishPacket } from '@godwit/packet'
import type { ConnectionRecord, Facts, SessionLife } from '../facts.ts'
import { broken } from '../failure.ts'

/** A PUBLISH of QoS 1 or 2 goes to a client. */
export function writeAcknowledged(
  facts: Facts,
  connection: ConnectionRecord,
  life: SessionLife,
  packet: PublishPacket,
  key: string,
): void {
  const { packetId } = packet
  const who = `${life.clientId}, packet identifier ${packetId}`
  if (connection.window.has(packetId)) {
    broken('packet-identifier', `${who} is in use for ${connection.window.get(packetId)}`)
  }
  connection.window.set(packetId, key)
  if (connection.window.size === connection.receiveMaximum) {
    facts.coverage.count('the window of a client is full')
  }
  if (connection.window.size > connection.receiveMaximum) {
    const count = `${connection.window.size} messages in flight`
    broken('receive-maximum', `${life.clientId}: ${count}, at most ${connection.receiveMaximum}`)
  }
  const before = life.underWay.get(packetId)
  const mayBeOld = facts.lastCrashAt >= life.beganAt || life.unsureAt >= 0
  const isKnown = before !== undefined && !before.isLoose
  if (isKnown && before.key !== key) {
    broken('packet-identifier', `${who} stands for ${before.key} and now for ${key}`)
  }
  if (isKnown && !packet.dup) {
    broken('dup', `${who}: ${key} was sent before and has no DUP`)
  }
  if (before === undefined && packet.dup && !mayBeOld) {
    broken('dup', `${who}: ${key} was never sent and has DUP`)
  }
  if (before?.isReleased && !mayBeOld) {
    broken('exactly-once', `${who}: ${key} is sent again after PUBREC`)
  }
  life.underWay.set(packetId, { key, qos: packet.qos, isReleased: false, isLoose: false })
}

/** PUBACK, PUBREC or PUBCOMP comes from a client. */
export function readAcknowledgement(
  connection: ConnectionRecord,
  life: SessionLife,
  type: number,
  packetId: number,
  reasonCode: number,
): void {
  const entry = life.underWay.get(packetId)
  const isLast = type !== PacketType.PUBREC || reasonCode >= 0x80
  if (isLast) connection.window.delete(packetId)
  if (entry === undefined) return
  if (type !== PacketType.PUBCOMP) {
    life.done.add(entry.key)
    life.owed.delete(entry.key)
  }
  if (isLast) life.underWay.delete(packetId)
  else if (entry.qos === 2) entry.isReleased = true
}
