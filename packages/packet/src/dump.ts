// A packet as one line for people. Secrets are never in it.

import { PacketType, ReasonCode, ReturnCode } from './constants.ts'
import type { Packet, Properties, SubscriptionRequest, Will } from './packets.ts'
import { decodeUtf8, isWellFormedUtf8 } from './utf8.ts'

const SHOWN_BYTES_MAX = 64
const SECRET = '***'

/** Control characters that a terminal would obey, and what changes the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u
const EVERY_UNPRINTABLE: RegExp = new RegExp(UNPRINTABLE, 'gu')

/**
 * The packet on one line, e.g. `PUBLISH "a/b" qos=1 id=7 payload="on"`.
 * A payload is shown as text if it can be printed, else in hexadecimal, and only its beginning.
 */
export function describePacket(packet: Packet): string {
  const name = nameOf(PacketType, packet.type)
  return [name, ...partsOf(packet)].filter(part => part !== '').join(' ')
}

function partsOf(packet: Packet): string[] {
  switch (packet.type) {
    case PacketType.CONNECT:
      return [
        quote(packet.clientId),
        `level=${packet.protocolLevel}`,
        flag('bridge', packet.bridge),
        flag('clean', packet.cleanStart),
        `keepAlive=${packet.keepAliveSeconds}s`,
        packet.username === null ? '' : `username=${quote(packet.username)}`,
        packet.password === null ? '' : `password=${SECRET}`,
        packet.will === null ? '' : willText(packet.will),
        propertiesText(packet.properties),
      ]
    case PacketType.CONNACK:
      return [
        reasonText(packet.type, packet.reasonCode),
        flag('sessionPresent', packet.sessionPresent),
        propertiesText(packet.properties),
      ]
    case PacketType.PUBLISH:
      return [
        quote(packet.topic),
        `qos=${packet.qos}`,
        packet.qos === 0 ? '' : `id=${packet.packetId}`,
        flag('retain', packet.retain),
        flag('dup', packet.dup),
        `payload=${bytesText(packet.payload)}`,
        propertiesText(packet.properties),
      ]
    case PacketType.PINGREQ:
    case PacketType.PINGRESP:
      return []
    case PacketType.SUBSCRIBE:
      return [
        `id=${packet.packetId}`,
        packet.subscriptions.map(subscriptionText).join(', '),
        propertiesText(packet.properties),
      ]
    case PacketType.UNSUBSCRIBE:
      return [
        `id=${packet.packetId}`,
        packet.filters.map(quote).join(', '),
        propertiesText(packet.properties),
      ]
    case PacketType.SUBACK:
    case PacketType.UNSUBACK:
      return [
        `id=${packet.packetId}`,
        packet.reasonCodes.map(code => reasonText(packet.type, code)).join(', '),
        propertiesText(packet.properties),
      ]
    case PacketType.DISCONNECT:
    case PacketType.AUTH:
      return [reasonText(packet.type, packet.reasonCode), propertiesText(packet.properties)]
    default:
      return [
        `id=${packet.packetId}`,
        packet.reasonCode === 0 ? '' : reasonText(packet.type, packet.reasonCode),
        propertiesText(packet.properties),
      ]
  }
}

function flag(name: string, set: boolean): string {
  return set ? name : ''
}

function willText(will: Will): string {
  const { topic, qos, retain, payload, properties } = will
  const parts = [quote(topic), `qos=${qos}`, flag('retain', retain)]
  parts.push(`payload=${bytesText(payload)}`, propertiesText(properties))
  return `will=(${parts.filter(part => part !== '').join(' ')})`
}

function subscriptionText(subscription: SubscriptionRequest): string {
  const { filter, qos, noLocal, retainAsPublished, retainHandling } = subscription
  const parts = [quote(filter), `qos=${qos}`]
  if (noLocal) parts.push('noLocal')
  if (retainAsPublished) parts.push('retainAsPublished')
  if (retainHandling !== 0) parts.push(`retainHandling=${retainHandling}`)
  return parts.join(' ')
}

function propertiesText(properties: Properties): string {
  const parts: string[] = []
  for (const [name, value] of Object.entries(properties) as [string, unknown][]) {
    if (name === 'authenticationData') parts.push(`${name}=${SECRET}`)
    else if (value instanceof Uint8Array) parts.push(`${name}=${bytesText(value)}`)
    else if (value !== undefined) parts.push(`${name}=${printable(JSON.stringify(value))}`)
  }
  return parts.length === 0 ? '' : `{${parts.join(' ')}}`
}

function bytesText(bytes: Uint8Array): string {
  const total = bytes.length
  if (total <= SHOWN_BYTES_MAX) return shown(bytes, total)
  let end = SHOWN_BYTES_MAX
  // Not in the middle of a character: a continuation byte follows at most three others.
  while (end > SHOWN_BYTES_MAX - 3 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return `${shown(bytes, end)}... (${total} bytes)`
}

function shown(bytes: Uint8Array, end: number): string {
  if (isWellFormedUtf8(bytes, 0, end)) {
    const text = decodeUtf8(bytes, 0, end)
    if (!UNPRINTABLE.test(text.replace(/[\t\r\n]/g, ''))) return quote(text)
  }
  let hex = '0x'
  for (const byte of bytes.subarray(0, end)) hex += byte.toString(16).padStart(2, '0')
  return hex
}

function quote(text: string): string {
  return printable(JSON.stringify(text))
}

function printable(text: string): string {
  return text.replace(EVERY_UNPRINTABLE, char => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

function reasonText(type: PacketType, code: number): string {
  if (type === PacketType.CONNACK && code > 0 && code < 6) return nameOf(ReturnCode, code)
  if (type === PacketType.DISCONNECT && code === 0) return 'NORMAL_DISCONNECTION'
  if (type === PacketType.SUBACK && code < 3) return `GRANTED_QOS_${code}`
  return nameOf(ReasonCode, code)
}

/** The first name of a number in a table. */
function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  for (const name of Object.keys(table)) if (table[name] === value) return name
  return `0x${value.toString(16)}`
}
