// The model as a store that can be asked: what it loads at start and the pages of its sessions.

import type {
  StoredDelivery,
  StoredEntry,
  StoredMessage,
  StoredPage,
  StoredWill,
  StoreReader,
} from '../../core/ports.ts'
import type { RecordSink } from '../record-writer.ts'
import type { Model } from './model.ts'

/** Does what the record says. What belongs to the core is copied, as writing it would. */
export function applyTo(model: Model, name: string, values: unknown[]): void {
  const copies = values.map(copyOf)
  const call = model[name as keyof RecordSink] as (...values: unknown[]) => void
  call.apply(model, copies)
}

export function loadModel(model: Model, reader: StoreReader): void {
  for (const one of [...model.sessions.values()].toSorted((a, b) => a.id - b.id)) {
    reader.session(one)
  }
  for (const one of model.subscriptions.values()) reader.subscription(one)
  for (const id of model.sessions.keys()) {
    const own = entriesOf(model, id)
    const bytes = own.reduce((sum, { delivery }) => sum + delivery.byteLength, 0)
    const last = own.at(-1)?.delivery.sequence
    if (last !== undefined) reader.backlog(id, own.length, bytes, last)
  }
  for (const { sessionId, fireAtMs, message } of model.wills.values()) {
    reader.will(sessionId, fireAtMs, message.frame.length)
  }
  for (const id of model.retained.values()) reader.retained(messageOf(model, id))
  for (const [id, [name, filter]] of model.groups) reader.group(id, name, filter)
  for (const { delivery } of model.groupQueues.values()) {
    reader.groupDelivery(delivery, messageOf(model, delivery.messageId))
  }
  reader.messageIdMax(Math.max(0, ...model.messages.keys()))
}

export function pageOfModel(
  model: Model,
  ticket: number,
  sessionId: number,
  fromSequence: number,
  messagesMax: number,
  bytesMax: number,
): StoredPage {
  const entries: StoredEntry[] = []
  let waiting = 0
  let bytes = 0
  for (const entry of entriesOf(model, sessionId)) {
    if (entry.delivery.sequence < fromSequence) continue
    if (entry.packetId === 0) {
      if (waiting >= messagesMax || (waiting > 0 && bytes >= bytesMax)) break
      waiting++
    }
    bytes += entry.delivery.byteLength
    entries.push(entry)
  }
  const isFirst = fromSequence === 0
  const received = [...model.received.values()].filter(([id]) => isFirst && id === sessionId)
  const will = isFirst ? (model.wills.get(sessionId) ?? null) : null
  return { ticket, entries, received: received.map(([, packetId]) => packetId), will }
}

function entriesOf(model: Model, sessionId: number): StoredEntry[] {
  const own = [...model.queues.values()].filter(({ delivery }) => delivery.ownerId === sessionId)
  own.sort((a, b) => a.delivery.sequence - b.delivery.sequence)
  return own.map(({ delivery, inflight }) => ({
    delivery,
    message: messageOf(model, delivery.messageId),
    packetId: inflight?.packetId ?? 0,
    state: inflight?.state ?? 0,
  }))
}

function messageOf(model: Model, id: number): StoredMessage {
  const message = model.messages.get(id)
  if (message === undefined) throw new Error(`message ${id} is referred to and was never put`)
  return message
}

function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('frame' in value) return copyOfMessage(value as StoredMessage)
  if ('messageId' in value) return copyOfDelivery(value as StoredDelivery)
  if ('fireAtMs' in value) {
    const will = value as StoredWill
    return { ...will, message: copyOfMessage(will.message) }
  }
  return value
}

function copyOfMessage({ id, frame, protocolLevel, expiresAtMs, publisher }: StoredMessage) {
  if (id === 0) throw new Error('a message without an id was put')
  return { id, frame: frame.slice(), protocolLevel, expiresAtMs, publisher }
}

function copyOfDelivery(delivery: StoredDelivery): StoredDelivery {
  const { ownerId, sequence, byteLength, messageId, flags, identifiers } = delivery
  if (ownerId === 0 || messageId === 0) throw new Error('a delivery refers to nothing')
  return { ownerId, sequence, byteLength, messageId, flags, identifiers }
}
