// A message that came from the server, as the application sees it.

import { NO_PROPERTIES, type Properties, type QoS } from '@godwit/packet'
import type { Receipt } from './incoming.ts'
import { BLOCK_BYTES, BLOCK_PAYLOAD_BYTES_MAX } from './limits.ts'
import type { PublishReader } from './publish-reader.ts'
import { type TopicTemplate, topicParams } from './topic-template.ts'

const EMPTY = new Uint8Array(0)
const decoder = new TextDecoder()

// Small payloads wait in blocks: memory of its own for each costs more than all else about a
// message. `npm run bench -- client`, receiving with an iterator: from 0.85 to
// 1.6 million messages per second of processor time. Nobody but messages sees a block.
let block = EMPTY
let blockUsed = 0

/**
 * One message for one subscription.
 * A message from an iterator owns its bytes. The one given to a synchronous listener is valid, like
 * its payload, until the listener returns: `keep()` makes one that lasts.
 */
export class Message<P = Readonly<Record<string, string>>> {
  topic = ''
  qos: QoS = 0
  retain = false
  /** Whether the server has sent it before. */
  dup = false
  properties: Properties = NO_PROPERTIES
  /** @internal */
  bytes: Uint8Array = EMPTY
  /** @internal */
  start = 0
  /** @internal */
  end = 0
  /** @internal Whether `bytes` is a block with payloads of other messages. */
  inBlock = false
  /** @internal What the server is told when all have taken the message; null when nothing. */
  receipt: Receipt | null = null
  /** @internal */
  template: TopicTemplate | null = null
  private view: Uint8Array | null = null
  private named: P | null = null

  /** The payload's bytes. */
  get payload(): Uint8Array {
    if (this.inBlock) this.leaveBlock()
    this.view ??= this.bytes.subarray(this.start, this.end)
    return this.view
  }

  /** The payload's size in bytes; asking makes no view of it. */
  get payloadLength(): number {
    return this.end - this.start
  }

  /** What the named wildcards of the subscription stand for in this topic. */
  get params(): P {
    if (this.named === null) {
      this.named = (this.template === null ? {} : topicParams(this.template, this.topic)) as P
    }
    return this.named
  }

  /** The payload as text; bytes that are not UTF-8 become U+FFFD. */
  text(): string {
    return decoder.decode(this.bytes.subarray(this.start, this.end))
  }

  /**
   * The payload as JSON. It is not checked against `T`.
   * @throws SyntaxError
   */
  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T
  }

  /**
   * Tells the server that the message has been dealt with; only for `ack: 'manual'`, where nothing
   * else does. Acknowledgements leave in the order in which the messages came. [MQTT-4.6.0-2]
   */
  ack(): void {
    const receipt = this.receipt
    this.receipt = null
    receipt?.taken()
  }

  /** A message of its own with its own bytes; the acknowledgement stays with this one. */
  keep(): Message<P> {
    const copy = new Message<P>()
    copy.topic = this.topic
    copy.qos = this.qos
    copy.retain = this.retain
    copy.dup = this.dup
    copy.properties = ownProperties(this.properties)
    copy.template = this.template
    copy.bytes = this.bytes.slice(this.start, this.end)
    copy.end = copy.bytes.length
    return copy
  }

  /** The application may transfer or overwrite what it gets. */
  private leaveBlock(): void {
    this.bytes = this.bytes.slice(this.start, this.end)
    this.start = 0
    this.end = this.bytes.length
    this.inBlock = false
  }

  /** @internal Forgets what was derived, when the same object serves for another message. */
  reset(): void {
    this.view = null
    this.named = null
  }
}

/**
 * Makes `message` the one that `source` reads.
 * @param own whether its bytes are copied, because it lives longer than the chunk that they are in
 */
export function fillMessage<P>(
  message: Message<P>,
  source: PublishReader,
  topic: string,
  template: TopicTemplate | null,
  own: boolean,
): void {
  message.reset()
  message.topic = topic
  message.qos = source.qos
  message.retain = source.retain
  message.dup = source.dup
  message.properties = source.properties
  message.template = template
  if (!own) {
    message.bytes = source.bytes
    message.start = source.payloadStart
    message.end = source.end
    return
  }
  // The chunk is read over with the next one, and would be held as a whole.
  const { payloadStart, end } = source
  if (end - payloadStart > BLOCK_PAYLOAD_BYTES_MAX) {
    message.bytes = source.bytes.slice(payloadStart, end)
    message.start = 0
    message.end = end - payloadStart
  } else {
    putIntoBlock(message, source.bytes, payloadStart, end)
  }
  if (source.properties !== NO_PROPERTIES) message.properties = ownProperties(source.properties)
}

function putIntoBlock(
  message: Pick<Message, 'bytes' | 'start' | 'end' | 'inBlock'>,
  bytes: Uint8Array,
  from: number,
  to: number,
): void {
  const length = to - from
  if (blockUsed + length > block.length) {
    block = new Uint8Array(BLOCK_BYTES)
    blockUsed = 0
  }
  block.set(bytes.subarray(from, to), blockUsed)
  message.bytes = block
  message.start = blockUsed
  blockUsed += length
  message.end = blockUsed
  message.inBlock = true
}

/** Binary properties are views on the chunk. */
function ownProperties(properties: Properties): Properties {
  const { correlationData } = properties
  if (correlationData === undefined) return properties
  return { ...properties, correlationData: Uint8Array.from(correlationData) }
}
