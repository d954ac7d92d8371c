// hot
// Looks at a PUBLISH from the server where it lies. What has properties beyond subscription
// identifiers goes the long way through the codec, which makes an object of it.

import {
  decodeUtf8,
  isTopicName,
  NO_PROPERTIES,
  PacketError,
  PacketType,
  type Properties,
  type ProtocolLevel,
  type PublishPacket,
  type QoS,
  readServerPacket,
} from '@godwit/packet'
import { protocolError } from './errors.ts'

const MALFORMED = 0x81
const TOPIC_NAME_INVALID = 0x90
/** A longer topic is read anew each time. */
const REMEMBERED_BYTES = 256

/** The parts of one PUBLISH; valid until the next `read`. MQTT 5.0 section 3.3. */
export class PublishReader {
  qos: QoS = 0
  retain = false
  dup = false
  /** 0 when QoS is 0. */
  packetId = 0
  /** The topic, empty when only an alias was sent. */
  topic = ''
  properties: Properties = NO_PROPERTIES
  bytes: Uint8Array = new Uint8Array(0)
  /** Changes with each chunk: `bytes` may be the array of the chunk before, with other content. */
  chunk = 0
  payloadStart = 0
  end = 0
  private lastTopic = ''
  /** The bytes of `lastTopic`, as far as it is not too long to be remembered. */
  private readonly last = new DataView(new ArrayBuffer(REMEMBERED_BYTES))
  private lastLength = 0
  private view: DataView = this.last

  /** @throws PacketError as `readServerPacket` does */
  read(first: number, bytes: Uint8Array, at: number, end: number, level: ProtocolLevel): void {
    if (this.bytes !== bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    const flags = first & 15
    const qos = (flags >> 1) & 3
    // [MQTT-3.3.1-4] [MQTT-3.3.1-2]
    if (qos === 3 || (qos === 0 && flags >= 8)) malformed('a PUBLISH with wrong flags')
    const topicStart = at + 2
    if (topicStart > end) malformed('a PUBLISH without a topic')
    const topicEnd = topicStart + (((bytes[at] as number) << 8) | (bytes[at + 1] as number))
    let next = qos === 0 ? topicEnd : topicEnd + 2
    const properties = level === 5 ? next++ : -1
    if (next > end) malformed('a PUBLISH that ends too early')
    if ((properties >= 0 && bytes[properties] !== 0) || topicStart === topicEnd) {
      this.readSlowly(first, bytes, at, end, level)
      return
    }
    this.qos = qos as QoS
    this.retain = (flags & 1) !== 0
    this.dup = flags >= 8
    this.packetId = 0
    if (qos > 0) {
      const id = ((bytes[topicEnd] as number) << 8) | (bytes[topicEnd + 1] as number)
      // [MQTT-2.3.1-1 v3]
      if (id === 0) protocolError('packet identifier 0')
      this.packetId = id
    }
    this.properties = NO_PROPERTIES
    this.payloadStart = next
    this.end = end
    this.readTopic(bytes, topicStart, topicEnd)
  }

  /** The string of the message before, when its bytes are the same. */
  private readTopic(bytes: Uint8Array, start: number, end: number): void {
    const { last, view } = this
    const length = end - start
    let same = 0
    if (this.lastLength === length) {
      // Four at a time: half of what it costs to read a message with a long topic.
      while (same + 4 <= length && last.getInt32(same) === view.getInt32(start + same)) same += 4
      while (same < length && last.getInt8(same) === view.getInt8(start + same)) same++
    }
    if (same < length) {
      const topic = decodeUtf8(bytes, start, end)
      if (!isTopicName(topic)) {
        throw new PacketError('topic-name-invalid', TOPIC_NAME_INVALID, 'a topic with a wildcard')
      }
      this.lastTopic = topic
      this.lastLength = 0
      if (length <= REMEMBERED_BYTES) {
        for (let i = 0; i < length; i++) last.setUint8(i, bytes[start + i] as number)
        this.lastLength = length
      }
    }
    this.topic = this.lastTopic
  }

  private readSlowly(
    first: number,
    bytes: Uint8Array,
    at: number,
    end: number,
    level: ProtocolLevel,
  ): void {
    const packet = readServerPacket(first, bytes, at, end, level) as PublishPacket
    this.qos = packet.qos
    this.retain = packet.retain
    this.dup = packet.dup
    this.packetId = packet.packetId
    this.topic = packet.topic
    this.properties = packet.properties
    this.payloadStart = end - packet.payload.length
    this.end = end
  }

  /** The packet as an object, for a dump. */
  toPacket(): PublishPacket {
    return {
      type: PacketType.PUBLISH,
      topic: this.topic,
      payload: this.bytes.subarray(this.payloadStart, this.end),
      qos: this.qos,
      retain: this.retain,
      dup: this.dup,
      packetId: this.packetId,
      properties: this.properties,
    }
  }
}

function malformed(what: string): never {
  throw new PacketError('malformed-packet', MALFORMED, what)
}
