// %j and %J of -F: a message as the JSON that mosquitto_sub prints, properties in the order in
// which they came.

import { isUtf8 } from 'node:buffer'
import type { Properties, PublishPacket } from '@godwit/packet'
import { jsonNumber, jsonString, rewriteJson } from './cjson.ts'
import type { Moment } from './moment.ts'
import { strftime } from './strftime.ts'

/** A name and how its value is written at a depth. */
type Entry = readonly [name: string, value: (depth: number) => string]

const PropertyNames: Readonly<Partial<Record<keyof Properties, string>>> = {
  payloadFormatIndicator: 'payload-format-indicator',
  messageExpiryInterval: 'message-expiry-interval',
  contentType: 'content-type',
  responseTopic: 'response-topic',
  correlationData: 'correlation-data',
  subscriptionIdentifiers: 'subscription-identifier',
  topicAlias: 'topic-alias',
  userProperties: 'user-properties',
}

/** The payload as a string, whatever is in it. @returns characters that are bytes */
export function messageJson(message: PublishPacket, moment: Moment, pretty: boolean): string {
  const { payload } = message
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const text = payload.length === 0 ? 'null' : jsonString(bytes.toString('latin1'))
  return write(message, moment, pretty, () => text)
}

/** The payload as the JSON that it is. @returns characters that are bytes; null when it is none */
export function messagePayloadJson(
  message: PublishPacket,
  moment: Moment,
  pretty: boolean,
): string | null {
  const { payload } = message
  if (payload.length === 0) return write(message, moment, pretty, () => 'null')
  if (!isUtf8(payload)) return null
  const text = new TextDecoder().decode(payload)
  try {
    JSON.parse(text)
  } catch {
    return null
  }
  return write(message, moment, pretty, depth => bytesOf(rewriteJson(text, pretty, depth)))
}

function write(
  message: PublishPacket,
  { date, nanoseconds }: Moment,
  pretty: boolean,
  payload: Entry[1],
): string {
  const micros = String(Math.floor(nanoseconds / 1000)).padStart(6, '0')
  const time = `${strftime('F', date)}T${strftime('T', date)}.${micros}${strftime('z', date)}`
  const entries: Entry[] = [
    ['tst', () => jsonString(time)],
    ['topic', () => bytesOf(jsonString(message.topic))],
    ['qos', () => String(message.qos)],
    ['retain', () => (message.retain ? '1' : '0')],
    ['payloadlen', () => String(message.payload.length)],
  ]
  if (message.qos > 0) entries.push(['mid', () => String(message.packetId)])
  const properties = propertyEntries(message.properties, pretty)
  if (properties.length > 0) {
    entries.push(['properties', depth => object(properties, pretty, depth)])
  }
  entries.push(['payload', payload])
  return object(entries, pretty, 0)
}

function object(entries: readonly Entry[], pretty: boolean, depth: number): string {
  if (!pretty) {
    return `{${entries.map(([name, value]) => `${nameOf(name)}:${value(depth + 1)}`).join(',')}}`
  }
  const tabs = '\t'.repeat(depth + 1)
  const lines = entries.map(([name, value]) => `${tabs}${nameOf(name)}:\t${value(depth + 1)}`)
  return `{\n${lines.join(',\n')}\n${'\t'.repeat(depth)}}`
}

function nameOf(name: string): string {
  return bytesOf(jsonString(name))
}

function propertyEntries(properties: Properties, pretty: boolean): Entry[] {
  const entries: Entry[] = []
  for (const [field, value] of Object.entries(properties)) {
    const name = PropertyNames[field as keyof Properties]
    if (name === undefined) continue
    if (field === 'userProperties') {
      const pairs = (properties.userProperties ?? []).map(
        ([key, text]): Entry => [key, () => bytesOf(jsonString(text))],
      )
      entries.push([name, depth => object(pairs, pretty, depth)])
    } else if (field === 'subscriptionIdentifiers') {
      for (const id of properties.subscriptionIdentifiers ?? []) {
        entries.push([name, () => String(id)])
      }
    } else entries.push([name, () => propertyValue(value)])
  }
  return entries
}

function propertyValue(value: unknown): string {
  if (typeof value === 'number') return jsonNumber(value)
  if (typeof value === 'string') return bytesOf(jsonString(value))
  const bytes = value as Uint8Array
  return jsonString(
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'),
  )
}

function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
