// Messages as lines of JSON, both ways, without loss: what is not UTF-8 goes as base64.

import { isUtf8 } from 'node:buffer'
import {
  isTopicName,
  type Properties,
  type PublishPacket,
  type QoS,
  type UserProperty,
} from '@godwit/packet'

/** A message as a line has it. */
export interface LineMessage {
  /** Empty: the line has none. */
  readonly topic: string
  readonly payload: Uint8Array
  /** Null: the line has none. */
  readonly qos: QoS | null
  readonly retain: boolean | null
  readonly properties: Properties
  /** Milliseconds since 1970, with fractions; null: the line has none. */
  readonly timeMs: number | null
}

/** Why a line is no message. */
export class LineError extends Error {
  override readonly name = 'LineError'
}

/** @param timeMs when the message came, in milliseconds since 1970 */
export function toJsonLine(message: PublishPacket, timeMs: number): string {
  const { topic, payload, qos, retain, dup, properties } = message
  return JSON.stringify({
    time: Math.round(timeMs * 1000) / 1000,
    topic,
    qos,
    retain,
    ...(dup ? { dup } : {}),
    ...bytesField('payload', payload),
    ...propertyFields(properties),
  })
}

/** @throws LineError */
export function fromJsonLine(line: string): LineMessage {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new LineError(`is not JSON: ${(error as Error).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new LineError('is not a JSON object')
  }
  const fields = value as Record<string, unknown>
  const { topic = '', qos = null, retain = null, time = null } = fields
  if (typeof topic !== 'string' || (topic !== '' && !isTopicName(topic))) {
    throw new LineError(`topic ${JSON.stringify(topic)} is none to publish to`)
  }
  if (qos !== null && qos !== 0 && qos !== 1 && qos !== 2) {
    throw new LineError(`qos is 0, 1 or 2, not ${JSON.stringify(qos)}`)
  }
  if (retain !== null && typeof retain !== 'boolean') {
    throw new LineError(`retain is true or false, not ${JSON.stringify(retain)}`)
  }
  if (time !== null && typeof time !== 'number') {
    throw new LineError(`time is in milliseconds, not ${JSON.stringify(time)}`)
  }
  const payload = payloadOf(fields)
  return { topic, payload, qos, retain, properties: propertiesOf(fields), timeMs: time }
}

function bytesField(name: string, bytes: Uint8Array): Record<string, string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return isUtf8(bytes)
    ? { [name]: buffer.toString('utf8') }
    : { [`${name}Base64`]: buffer.toString('base64') }
}

function propertyFields(properties: Properties): Record<string, unknown> {
  const { correlationData, topicAlias: _alias, ...others } = properties
  if (correlationData === undefined) return others
  return { ...others, ...bytesField('correlationData', correlationData) }
}

/** A payload that is JSON itself may stand in the line as it is. */
function payloadOf(fields: Record<string, unknown>): Uint8Array {
  const { payload, payloadBase64 } = fields
  if (payloadBase64 !== undefined) return base64('payloadBase64', payloadBase64)
  if (payload === undefined || payload === null) return new Uint8Array(0)
  return Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
}

function base64(name: string, value: unknown): Uint8Array {
  const isBase64 = typeof value === 'string' && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value)
  if (!isBase64) throw new LineError(`${name} is not base64`)
  return Buffer.from(value, 'base64')
}

const Kinds: Readonly<Record<string, 'number' | 'string'>> = {
  payloadFormatIndicator: 'number',
  messageExpiryInterval: 'number',
  contentType: 'string',
  responseTopic: 'string',
}

function propertiesOf(fields: Record<string, unknown>): Properties {
  const properties: Record<string, unknown> = {}
  for (const [name, kind] of Object.entries(Kinds)) {
    const value = fields[name]
    if (value === undefined) continue
    if (typeof value !== kind) {
      throw new LineError(`${name} is a ${kind}, not ${JSON.stringify(value)}`)
    }
    properties[name] = value
  }
  const { correlationData, correlationDataBase64, userProperties } = fields
  if (correlationDataBase64 !== undefined) {
    properties['correlationData'] = base64('correlationDataBase64', correlationDataBase64)
  } else if (correlationData !== undefined) {
    if (typeof correlationData !== 'string') throw new LineError('correlationData is a string')
    properties['correlationData'] = Buffer.from(correlationData)
  }
  if (userProperties !== undefined) properties['userProperties'] = pairs(userProperties)
  return properties as Properties
}

/** `[["name", "value"], …]`, or `{"name": "value"}` as people write it. */
function pairs(value: unknown): UserProperty[] {
  const list = Array.isArray(value) ? value : Object.entries((value ?? {}) as object)
  for (const pair of list) {
    const isPair = Array.isArray(pair) && pair.length === 2
    if (!(isPair && pair.every(part => typeof part === 'string'))) {
      throw new LineError('userProperties is a list of pairs of strings')
    }
  }
  return list as UserProperty[]
}
