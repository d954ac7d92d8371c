// What an application gives to a client, checked and encoded before any of it can reach the output:
// half a packet cannot be taken back.

import {
  encodeUtf8,
  isTopicFilter,
  isTopicName,
  NO_PROPERTIES,
  type PacketError,
  PacketType,
  type QoS,
  Writer,
  writeProperties,
} from '@godwit/packet'
import { invalidArgument, MqttError } from '../errors.ts'
import { readMessageProperties } from '../message-properties.ts'
import type { Payload } from '../options.ts'
import { Outgoing } from './session.ts'
import type { PublishOptions } from './types.ts'

/** What the codec cannot write was wrong already when we got it. */
export function argumentError(cause: unknown): MqttError {
  if (cause instanceof MqttError) return cause
  return invalidArgument(messageOf(cause), cause)
}

export function messageOf(cause: unknown): string {
  // In the small build the codec's errors have their code only.
  return cause instanceof Error ? cause.message || (cause as PacketError).code : String(cause)
}

/** @throws MqttError `invalid-argument` */
export function readFilters(filters: string | readonly string[]): readonly string[] {
  try {
    const all = typeof filters === 'string' ? [filters] : [...filters]
    // Nothing may fail when half of a packet is written.
    if (all.every(filter => isTopicFilter(filter) && encodeUtf8(filter))) return all
  } catch {
    // No list, or a lone surrogate.
  }
  throw invalidArgument(`not a topic filter: ${filters}`)
}

export function bytesOf(payload: Payload): Uint8Array {
  if (typeof payload === 'string') return encodeUtf8(payload)
  return payload instanceof ArrayBuffer ? new Uint8Array(payload) : payload
}

/** @throws MqttError or PacketError: now, and not when half of the packet is written */
export function outgoingOf(topic: string, payload: Payload, options: PublishOptions): Outgoing {
  const { qos = 0, retain } = options
  // [MQTT-3.3.2-2]
  if (typeof topic !== 'string' || !isTopicName(topic)) throw invalidArgument('not a topic name')
  const writer = new Writer()
  writer.string(topic, 'a topic')
  checkQoS(qos)
  if (qos > 0) writer.uint16(0)
  const headEnd = writer.length
  const properties = readMessageProperties(options) ?? NO_PROPERTIES
  writeProperties(writer, properties, PacketType.PUBLISH, 5)
  const payloadAt = writer.length
  writer.raw(bytesOf(payload), 'a payload')
  return new Outgoing((qos << 1) | (retain ? 1 : 0), writer.finish(), headEnd, payloadAt)
}

export function checkQoS(qos: QoS): void {
  if (qos !== 0 && qos !== 1 && qos !== 2) throw invalidArgument('not a QoS')
}
