// A message that came from the server, as the application sees it.

import { NO_PROPERTIES, type Properties, type QoS } from '@godwit/packet'
import type { Receipt } from './incoming.ts'
import { BLOCK_BYTES, BLOCK_PAYLOAD_BYTES_MAX } from './limits.ts'
import type { PublishReader } from './publish-reader.ts'
import { type TopicTemplate, topicParams } from './topic-template.ts'

const EMPTY = new Uint8Array(0)
const decoder = new TextDecoder()

let textOf = (bytes: Uint8Array, start: number, end: number): string => {
  return decoder.decode(bytes.subarray(start, end))
}

/** Has texts decoded in a way that this platform is faster at; the result must be the same. */
export function decodeWith(decode: typeof textOf): void {
  textOf = decode
}

// Small payloads wait in blocks: memory of its own for each costs more than all else about a
// message. A block takes as much of a chunk as it has room for, so that what follows in the same
// chunk needs no copy of its own. Nobody but messages sees a block.
let block = EMPTY
let blockUsed = 0
/** What of which chunk was copied last, and where it is in the block. */
let copied: Uint8Array = EMPTY
let copiedChunk = 0
let copiedFrom = 0
let copiedEnd = 0
let copiedTo = 0

/** What a message is made of. */
type MessageParts = Pick<
  PublishReader,
  'qos' | 'retain' | 'dup' | 'properties' | 'bytes' | 'payloadStart' | 'end'
>

/**
 * One message for one subscription.
 * A message from an iterator owns its bytes. The one given to a synchronous listener is valid, like
 * its payload, until the listener returns: `keep()` makes one that lasts. One that was given to an
 * `async` listener lasts, but a `payload` taken before its first `await` does not.
 */
export class Message<P = Readonly<Record<string, string>>> {
  topic: string
  qos: QoS
  retain: boolean
  /** Whether the server has sent it before. */
  dup: boolean
  properties: Properties
  /** @internal */
  bytes: Uint8Array
  /** @internal */
  start: number
  /** @internal */
  end: number
  /** @internal Whether `bytes` is a block with payloads of other messages. */
  inBlock: boolean
  /** @internal What the server is told when all have taken the message; null when nothing. */
  receipt: Receipt | null
  /** @internal */
  template: TopicTemplate | null
  private named: P | null

  /** @internal Its bytes are those of the source, until `own` is called. */
  constructor(source: MessageParts, topic: string, template: TopicTemplate | null) {
    this.topic = topic
    this.qos = source.qos
    this.retain = source.retain
    this.dup = source.dup
    this.properties = source.properties
    this.bytes = source.bytes
    this.start = source.payloadStart
    this.end = source.end
    this.inBlock = false
    this.receipt = null
    this.template = template
    this.named = null
  }

  /** The payload's bytes. */
  get payload(): Uint8Array {
    const { bytes, start, end } = this
    if (this.inBlock) {
      // The application may transfer or overwrite what it gets.
      this.setBytes(bytes.slice(start, end))
    } else if (end - start < bytes.length) {
      this.setBytes(bytes.subarray(start, end))
    }
    return this.bytes
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
    return textOf(this.bytes, this.start, this.end)
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
    const { bytes, start: payloadStart, end, qos, retain, dup, properties } = this
    const parts = { bytes, payloadStart, end, qos, retain, dup, properties }
    const copy = new Message<P>(parts, this.topic, this.template)
    copy.outlive()
    return copy
  }

  /** @internal Copies what it has of the chunk, when somebody may have looked at it already. */
  outlive(): void {
    this.properties = ownProperties(this.properties)
    this.setBytes(this.bytes.slice(this.start, this.end))
  }

  /**
   * @internal Copies its bytes out of the chunk, which is read over with the next one, and would be
   * held as a whole.
   */
  own(source: PublishReader): void {
    const { bytes, start, end } = this
    if (end - start > BLOCK_PAYLOAD_BYTES_MAX) {
      this.setBytes(bytes.slice(start, end))
    } else {
      const isCopied = bytes === copied && source.chunk === copiedChunk
      if (!isCopied || end > copiedEnd || start < copiedFrom) copyAhead(source)
      const shift = copiedTo - copiedFrom
      this.bytes = block
      this.start = start + shift
      this.end = end + shift
      this.inBlock = true
    }
    if (this.properties !== NO_PROPERTIES) this.properties = ownProperties(this.properties)
  }

  private setBytes(bytes: Uint8Array): void {
    this.bytes = bytes
    this.start = 0
    this.end = bytes.length
    this.inBlock = false
  }
}

/** Copies the payload and what comes after it. */
function copyAhead({ bytes, chunk, payloadStart, end }: PublishReader): void {
  if (blockUsed + end - payloadStart > block.length) {
    block = new Uint8Array(BLOCK_BYTES)
    blockUsed = 0
  }
  copied = bytes
  copiedChunk = chunk
  copiedFrom = payloadStart
  copiedEnd = Math.min(bytes.length, payloadStart + block.length - blockUsed)
  copiedTo = blockUsed
  block.set(bytes.subarray(payloadStart, copiedEnd), blockUsed)
  blockUsed += copiedEnd - payloadStart
}

/** Binary properties are views on the chunk. */
function ownProperties(properties: Properties): Properties {
  const { correlationData } = properties
  if (correlationData === undefined) return properties
  return { ...properties, correlationData: Uint8Array.from(correlationData) }
}
