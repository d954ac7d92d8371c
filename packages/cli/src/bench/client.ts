// hot
// One connection of a tester: CONNECT, SUBSCRIBE, messages both ways at every QoS, pings, and
// resuming after a break. It judges nothing: its host hears of each message and acknowledgement.

import {
  type ConnackPacket,
  Decoder,
  describePacket,
  encodePacket,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  type Packet,
  PacketType,
  type ProtocolLevel,
  PublishView,
  type QoS,
  readServerPacket,
} from '@godwit/packet'
import { CLOSED } from './connect-failure.ts'
import { Batch, type FrameSource } from './frames.ts'
import {
  HEADER_BYTES,
  intendedOf,
  isOfRun,
  SEQUENCE_BYTES,
  sentOf,
  sequenceOf,
  streamOf,
  wrapped,
} from './message.ts'
import type { PayloadCheck } from './payload-check.ts'
import { Inflight, TimeQueue } from './queues.ts'
import type { Transport, TransportOwner } from './transport.ts'

const BATCH_BYTES_MAX = 64 * 1024
export const NO_LIMIT = 0xffffffff
const PUBLISH_VIEW = new PublishView()
const DISCONNECT: Uint8Array = new Uint8Array([0xe0, 0])
/** A part of the keep alive. */
const PING_AFTER = 0.7
const PACKET_ID_MAP_BYTES = 8192
/** How long the broker keeps a session that a storm has cut. */
const SESSION_SECONDS = 3600
const PINGREQ: Uint8Array = new Uint8Array([0xc0, 0])

/** What a client is told once. */
export interface ClientSettings {
  readonly level: ProtocolLevel
  readonly qos: QoS
  readonly run: number
  readonly keepAliveSeconds: number
  readonly username: string | null
  readonly password: Uint8Array | null
  /** Unacknowledged QoS 1 and 2 messages; the broker may allow fewer. */
  readonly inflightMax: number
  /** Sessions outlive a break. */
  readonly keepsSession: boolean
  /** Messages of this run come as retained ones. */
  readonly takesRetained: boolean
  readonly dump: ((line: string) => void) | null
  /** One for all clients of a process. */
  readonly payloadCheck: PayloadCheck
}

/** Who runs clients. */
export interface ClientHost {
  nowUs(): number
  open(client: Client, owner: TransportOwner): Transport
  message(
    client: Client,
    stream: number,
    sequence: number,
    intendedUs: number,
    sentUs: number,
    nowUs: number,
  ): void
  /** A message that has no header to verify, or another run's. @param isOlder retained before */
  unverified(client: Client, isOlder: boolean): void
  /** The payload of the message that comes with the next call is not what was sent. */
  damaged(client: Client): void
  /** The same message came at another QoS than it was sent and subscribed with. */
  otherQoS(client: Client): void
  /** There may be room for another message. */
  credit(client: Client): void
  acknowledged(client: Client, sentUs: number, nowUs: number): void
  refused(client: Client, reasonCode: number): void
  /** An acknowledgement came for what was not under way, or of a kind that its QoS has not. */
  unasked(client: Client, type: number): void
  /** The connection is gone without being asked to; null when the broker just closed it. */
  lost(client: Client, error: Error | null): void
}

type Settle = (failure: Error | null) => void

export class Client implements TransportOwner {
  readonly clientId: string
  readonly settings: ClientSettings
  /** What the host knows it by. */
  readonly index: number
  connack: ConnackPacket | null = null
  isReady = false
  /** Messages handed to the network. */
  sent = 0
  acked = 0
  /** In a closed loop: how many more may be sent before some have arrived. */
  windowLeft: number = NO_LIMIT
  /** In a closed loop: how many are still to be sent. */
  remaining = 0
  /** In an open loop: when messages that are due were meant to be sent. */
  readonly due: TimeQueue = new TimeQueue()
  /** An answer to a ping is awaited since then; 0 when none is. */
  pingSinceUs = 0
  lastWriteUs = 0
  /** When it last sent a message. */
  lastSendUs = 0
  /** How often in a row the host has found that it was too long ago, and when it was. */
  quietLooks = 0
  quietSinceUs = 0
  /** Whether the host has noted that it has something to send. */
  isMarked = false
  private readonly host: ClientHost
  private readonly source: FrameSource | null
  private readonly inflight: Inflight | null
  private decoder = new Decoder(PACKET_BYTES_MAX)
  private transport: Transport | null = null
  private settle: Settle | null = null
  private subscribing: Settle | null = null
  private batches: Batch[] = []
  private batchBytes = 0
  private answers = Buffer.allocUnsafe(64)
  private answersLength = 0
  /** Packet identifiers of QoS 2 messages that came and are not released, one bit each. */
  private unreleased: Uint8Array | null = null
  private leaving = false
  private cleanStart = true
  private keepsSession: boolean
  /** Bytes that a slow consumer may read now. */
  private readLeft = NO_LIMIT

  constructor(
    index: number,
    clientId: string,
    settings: ClientSettings,
    host: ClientHost,
    source: FrameSource | null,
  ) {
    this.index = index
    this.clientId = clientId
    this.settings = settings
    this.keepsSession = settings.keepsSession
    this.host = host
    this.source = source
    const needsWindow = source !== null && settings.qos > 0
    this.inflight = needsWindow ? new Inflight(settings.inflightMax) : null
  }

  /** Connects. @param clean begin with an empty session */
  connect(clean: boolean, settle: Settle): void {
    this.settle = settle
    this.leaving = false
    // The rest of a frame that the old connection has cut is not the new one's.
    this.decoder = new Decoder(PACKET_BYTES_MAX)
    this.answersLength = 0
    this.cleanStart = clean
    this.transport = this.host.open(this, this)
  }

  subscribe(filters: readonly string[], qos: QoS, settle: Settle): void {
    this.subscribing = settle
    const options = { qos, noLocal: false, retainAsPublished: false, retainHandling: 0 as const }
    const subscriptions = filters.map(filter => ({ filter, ...options }))
    const properties = NO_PROPERTIES
    this.sendPacket({ type: PacketType.SUBSCRIBE, packetId: 1, subscriptions, properties })
  }

  /** From now on a session ends with its connection. */
  forgetSession(): void {
    this.keepsSession = false
  }

  /** Breaks the connection as a power cut would. */
  cut(): void {
    this.leaving = true
    this.transport?.destroy()
    this.closed(null)
  }

  disconnect(): void {
    this.leaving = true
    const wasReady = this.isReady
    this.isReady = false
    if (wasReady) this.transport?.end(DISCONNECT)
    else this.cut()
  }

  /** Whether nothing is left of the connection. */
  get isGone(): boolean {
    return this.transport === null
  }

  /** Gives up on a connection that says nothing. */
  abandon(reason: string): void {
    this.fail(new Error(reason))
  }

  /** Who waits for CONNACK or SUBACK waits no more; a connection that is there stays. */
  giveUp(reason: string): void {
    if (!this.isReady) {
      this.abandon(reason)
      return
    }
    const { subscribing } = this
    this.subscribing = null
    subscribing?.(new Error(reason))
  }

  /** Of a slow consumer: it may read so many bytes more. */
  readMore(bytes: number): void {
    if (this.readLeft === NO_LIMIT) this.readLeft = 0
    this.readLeft = Math.min(this.readLeft + bytes, Math.max(bytes, 1))
    if (this.readLeft > 0) this.transport?.resume()
  }

  /** Pings when nothing else was sent for a while, and gives up when nobody answers. */
  keepAlive(nowUs: number, keepAliveUs: number): void {
    if (keepAliveUs === 0 || this.transport === null) return
    // The answer to a slow consumer waits behind what it has not read.
    if (this.pingSinceUs !== 0 && this.readLeft === NO_LIMIT) {
      if (nowUs - this.pingSinceUs > keepAliveUs) this.abandon('no PINGRESP came')
      return
    }
    if (nowUs - this.lastWriteUs < keepAliveUs * PING_AFTER) return
    this.pingSinceUs = nowUs
    this.lastWriteUs = nowUs
    this.transport.write(PINGREQ, null)
  }

  /** Takes back the retained messages of all topics that it has sent to. */
  clearRetained(): void {
    const payload = new Uint8Array(0)
    const rest = { payload, qos: 0, retain: true, dup: false, packetId: 0 } as const
    if (!this.isReady || this.source === null) return
    const { topics, sequences } = this.source
    for (const [i, topic] of topics.entries()) {
      if (sequences[i] === 0) continue
      this.sendPacket({ type: PacketType.PUBLISH, topic, properties: NO_PROPERTIES, ...rest })
    }
  }

  /** Messages that are due or allowed and not yet sent. */
  get backlog(): number {
    return this.due.length + this.remaining
  }

  get unacknowledged(): number {
    return this.inflight === null ? 0 : this.inflight.count
  }

  /** Whether nothing can be sent until an acknowledgement comes. */
  get isWindowFull(): boolean {
    return this.isReady && this.inflight !== null && this.inflight.room === 0
  }

  /** Sends as much as windows and network allow. */
  pump(nowUs: number): void {
    this.isMarked = false
    const source = this.source
    if (source === null || !this.isReady || this.transport === null) return
    while (!this.transport.isFull) {
      let count = this.due.length > 0 ? this.due.length : this.remaining
      if (count > this.windowLeft) count = this.windowLeft
      if (this.inflight !== null && count > this.inflight.room) count = this.inflight.room
      if (count === 0) return
      this.sendSome(this.transport, source, count, nowUs)
    }
  }

  /** Sends one message at once, or when the windows allow: what an answering client does. */
  echo(sequence: number, intendedUs: number, sentUs: number, nowUs: number): void {
    const source = this.source
    const transport = this.transport
    if (source === null || transport === null || !this.isReady) return
    // A window of QoS 1 or 2 that is full here means more answers under way than the window.
    const inflight = this.inflight
    if (inflight !== null && inflight.room === 0) return
    const batch = this.batchFor(source, 1)
    const packetId = inflight === null ? 0 : inflight.add(0, sequence, intendedUs, sentUs)
    source.append(batch, 0, sequence, packetId, false, intendedUs, sentUs)
    source.sequences[0]!++
    this.write(transport, batch, 1, nowUs)
  }

  opened(): void {
    const { level, keepAliveSeconds, username, password } = this.settings
    const { clientId, keepsSession } = this
    const properties =
      level === 5 && keepsSession ? { sessionExpiryInterval: SESSION_SECONDS } : NO_PROPERTIES
    // Before MQTT 5.0 clean session also means that the session ends with the connection.
    const cleanStart = level === 5 ? this.cleanStart : !keepsSession
    const packet = { type: PacketType.CONNECT, protocolLevel: level, keepAliveSeconds, clientId }
    const login = { will: null, username, password, bridge: false }
    this.sendPacket({ ...packet, ...login, cleanStart, properties })
  }

  received(bytes: Uint8Array, length: number): void {
    const decoder = this.decoder
    const nowUs = this.host.nowUs()
    this.settings.payloadCheck.beginRead()
    try {
      decoder.push(length === bytes.length ? bytes : bytes.subarray(0, length))
      while (decoder.next()) {
        if (this.settings.dump !== null) this.dumpFrame()
        const type = decoder.first >> 4
        if (type === PacketType.PUBLISH) this.onPublish(nowUs)
        else if (type >= PacketType.PUBACK && type <= PacketType.PUBCOMP) this.onAck(type, nowUs)
        else this.onOther()
      }
    } catch (error) {
      this.fail(error as Error)
      return
    }
    if (this.answersLength > 0) this.flushAnswers(nowUs)
    if (this.readLeft !== NO_LIMIT) {
      this.readLeft -= length
      if (this.readLeft <= 0) this.transport?.pause()
    }
  }

  drained(): void {
    this.host.credit(this)
  }

  closed(error: Error | null): void {
    const wasReady = this.isReady
    this.isReady = false
    this.transport = null
    const { settle, subscribing } = this
    this.settle = null
    this.subscribing = null
    const failure = error ?? new Error(CLOSED)
    settle?.(failure)
    subscribing?.(failure)
    if (settle === null && wasReady && !this.leaving) this.host.lost(this, error)
  }

  private fail(error: Error): void {
    this.transport?.destroy()
    this.closed(error)
  }

  private sendSome(transport: Transport, source: FrameSource, count: number, nowUs: number): void {
    const batch = this.batchFor(source, count)
    const { due, inflight } = this
    const sentUs = wrapped(nowUs)
    const fromQueue = due.length > 0
    let sent = 0
    while (sent < count && batch.length + source.roomBytes <= batch.bytes.length) {
      const topic = source.nextTopic()
      const sequence = source.sequences[topic]!
      const intendedUs = fromQueue ? due.shift() : sentUs
      let packetId = 0
      if (inflight !== null) packetId = inflight.add(topic, sequence, intendedUs, sentUs)
      source.append(batch, topic, sequence, packetId, false, intendedUs, sentUs)
      source.sequences[topic] = sequence + 1
      sent++
    }
    if (!fromQueue) this.remaining -= sent
    if (this.windowLeft !== NO_LIMIT) this.windowLeft -= sent
    this.write(transport, batch, sent, nowUs)
  }

  private write(transport: Transport, batch: Batch, messages: number, nowUs: number): void {
    this.sent += messages
    this.lastWriteUs = nowUs
    this.lastSendUs = nowUs
    const bytes = batch.bytes.subarray(0, batch.length)
    if (this.settings.dump !== null) this.dumpBytes(bytes)
    transport.write(bytes, batch.release)
  }

  /** Batches begin small and grow: a thousand slow publishers need little. */
  private batchFor(source: FrameSource, count: number): Batch {
    const one = Math.max(source.roomBytes, 16)
    const wanted = Math.max(one, Math.min(count * one, BATCH_BYTES_MAX))
    if (wanted > this.batchBytes) {
      this.batchBytes = Math.min(Math.max(wanted, this.batchBytes * 4), Math.max(wanted, 65_536))
      this.batches = []
    }
    const batch = this.batches.pop() ?? new Batch(this.batchBytes, this.takeBack)
    batch.length = 0
    return batch
  }

  private readonly takeBack = (batch: Batch): void => {
    if (batch.bytes.length === this.batchBytes) this.batches.push(batch)
  }

  private onPublish(nowUs: number): void {
    const { decoder, settings, host } = this
    const view = PUBLISH_VIEW
    const bytes = decoder.bytes
    view.read(decoder.first, bytes, decoder.bodyStart, decoder.end, settings.level)
    if (view.qos === 1) this.answer(0x40, view.packetId)
    else if (view.qos === 2) {
      this.answer(0x50, view.packetId)
      // Exactly once: what was not released yet is the same message again. [MQTT-4.3.3-10]
      if (!this.isNew(view.packetId)) return
    }
    const at = view.payloadStart
    const size = view.end - at
    const check = settings.payloadCheck
    // What is published and subscribed at one QoS is delivered at it. [MQTT-3.8.4-8]
    const isOtherQoS = view.qos !== settings.qos
    if (size < SEQUENCE_BYTES || !isOfRun(bytes, at, settings.run)) {
      // Without a header RETAIN tells what was there before this run. [MQTT-3.3.1-9]
      const isOlder = view.retain && !settings.takesRetained
      const isJudged = check.plain && !isOlder
      if (isJudged && check.isDamaged(bytes, at, size)) host.damaged(this)
      if (isJudged && isOtherQoS) host.otherQoS(this)
      host.unverified(this, isOlder)
      return
    }
    const timed = size >= HEADER_BYTES
    const intendedUs = timed ? intendedOf(bytes, at) : 0
    const sentUs = timed ? sentOf(bytes, at) : 0
    const sequence = sequenceOf(bytes, at)
    const stream = streamOf(bytes, at)
    const isDamaged =
      check.isDamaged(bytes, at, size, sequence) ||
      check.isAstray(bytes, view.topicStart, view.topicEnd, stream)
    if (isDamaged) host.damaged(this)
    if (isOtherQoS) host.otherQoS(this)
    host.message(this, stream, sequence, intendedUs, sentUs, nowUs)
  }

  private onAck(type: number, nowUs: number): void {
    const { decoder, inflight, host } = this
    const bytes = decoder.bytes
    const at = decoder.bodyStart
    const packetId = (bytes[at]! << 8) | bytes[at + 1]!
    const reasonCode = decoder.end - at > 2 ? bytes[at + 2]! : 0
    if (type === PacketType.PUBREL) {
      this.release(packetId)
      this.answer(0x70, packetId)
      return
    }
    if (inflight === null || !this.isAnswer(inflight, type, packetId)) {
      host.unasked(this, type)
      return
    }
    if (type === PacketType.PUBREC && reasonCode < 0x80) {
      inflight.recorded(packetId)
      this.answer(0x62, packetId)
      return
    }
    const sentUs = inflight.remove(packetId)
    if (reasonCode >= 0x80) host.refused(this, reasonCode)
    else {
      this.acked++
      host.acknowledged(this, sentUs, nowUs)
    }
    host.credit(this)
  }

  /** A message ends with the answer of its QoS only. [MQTT-4.3.2-3] [MQTT-4.3.3-5] */
  private isAnswer(inflight: Inflight, type: number, packetId: number): boolean {
    if (!inflight.has(packetId)) return false
    if (this.settings.qos === 1) return type === PacketType.PUBACK
    return (
      type === PacketType.PUBREC || (type === PacketType.PUBCOMP && inflight.isRecorded(packetId))
    )
  }

  private onOther(): void {
    const { decoder, settings } = this
    const { first, bytes, bodyStart, end } = decoder
    const packet = readServerPacket(first, bytes, bodyStart, end, settings.level)
    switch (packet.type) {
      case PacketType.CONNACK:
        this.onConnack(packet)
        break
      case PacketType.SUBACK: {
        const { subscribing } = this
        this.subscribing = null
        subscribing?.(subscribeFailure(packet.reasonCodes, settings.qos))
        break
      }
      case PacketType.PINGRESP:
        this.pingSinceUs = 0
        break
      case PacketType.DISCONNECT:
        this.fail(new Error(`the broker says DISCONNECT ${hex(packet.reasonCode)}`))
        break
    }
  }

  private onConnack(packet: ConnackPacket): void {
    const { settle } = this
    if (packet.reasonCode !== 0) {
      this.fail(new Error(`CONNACK says ${hex(packet.reasonCode)}`))
      return
    }
    this.connack = packet
    this.settle = null
    this.isReady = true
    this.pingSinceUs = 0
    this.inflight?.limit(packet.properties.receiveMaximum ?? 65_535)
    if (!packet.sessionPresent) this.unreleased?.fill(0)
    this.resend()
    settle?.(null)
    this.host.credit(this)
  }

  /** What was under way when the connection broke goes out again, in order. [MQTT-4.4.0-1] */
  private resend(): void {
    const { inflight, source, transport } = this
    if (inflight === null || source === null || transport === null) return
    const nowUs = this.host.nowUs()
    inflight.each((packetId, topic, sequence, intendedUs, sentUs, recorded) => {
      if (recorded) {
        this.answer(0x62, packetId)
        return
      }
      const batch = this.batchFor(source, 1)
      source.append(batch, topic, sequence, packetId, true, intendedUs, sentUs)
      this.write(transport, batch, 0, nowUs)
    })
    if (this.answersLength > 0) this.flushAnswers(nowUs)
  }

  private release(packetId: number): void {
    const map = this.unreleased
    if (map !== null) map[packetId >> 3] = map[packetId >> 3]! & ~(1 << (packetId & 7))
  }

  private isNew(packetId: number): boolean {
    this.unreleased ??= new Uint8Array(PACKET_ID_MAP_BYTES)
    const before = this.unreleased[packetId >> 3]!
    const bit = 1 << (packetId & 7)
    this.unreleased[packetId >> 3] = before | bit
    return (before & bit) === 0
  }

  private answer(first: number, packetId: number): void {
    if (this.answersLength + 4 > this.answers.length) {
      const grown = Buffer.allocUnsafe(this.answers.length * 4)
      this.answers.copy(grown)
      this.answers = grown
    }
    const at = this.answersLength
    this.answers[at] = first
    this.answers[at + 1] = 2
    this.answers[at + 2] = packetId >> 8
    this.answers[at + 3] = packetId
    this.answersLength = at + 4
  }

  /** All answers of a chunk in one write. */
  private flushAnswers(nowUs: number): void {
    const bytes = Buffer.from(this.answers.subarray(0, this.answersLength))
    this.answersLength = 0
    this.lastWriteUs = nowUs
    if (this.settings.dump !== null) this.dumpBytes(bytes)
    this.transport?.write(bytes, null)
  }

  private sendPacket(packet: Packet): void {
    this.settings.dump?.(`${this.clientId} out ${describePacket(packet)}`)
    this.lastWriteUs = this.host.nowUs()
    this.transport?.write(encodePacket(packet, this.settings.level), null)
  }

  private dumpFrame(): void {
    const { first, bytes, bodyStart, end } = this.decoder
    const packet = readServerPacket(first, bytes, bodyStart, end, this.settings.level)
    this.settings.dump?.(`${this.clientId} in ${describePacket(packet)}`)
  }

  private dumpBytes(bytes: Uint8Array): void {
    const decoder = new Decoder(PACKET_BYTES_MAX)
    decoder.push(bytes)
    while (decoder.next()) {
      const { first, bodyStart, end } = decoder
      const packet = readServerPacket(first, decoder.bytes, bodyStart, end, this.settings.level)
      this.settings.dump?.(`${this.clientId} out ${describePacket(packet)}`)
    }
  }
}

/** What is delivered below its QoS would be judged by promises that nobody made. */
function subscribeFailure(reasonCodes: readonly number[], qos: QoS): Error | null {
  const wrong = reasonCodes.find(code => code !== qos)
  if (wrong === undefined) return null
  if (wrong >= 0x80) return new Error(`SUBACK says ${hex(wrong)}`)
  return new Error(`the broker grants QoS ${wrong}, not ${qos}: use --qos ${wrong}`)
}

function hex(reasonCode: number): string {
  return `0x${reasonCode.toString(16).padStart(2, '0')}`
}
