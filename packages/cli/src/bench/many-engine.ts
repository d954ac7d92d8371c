// hot
// One process's sessions of `many`: numbers in tables instead of objects, one small socket each.
// Each connects, subscribes if told to, and says something at its pace; what it says is answered,
// or the session is dead.

import {
  Decoder,
  encodePacket,
  encodeUtf8,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  PacketType,
  type Properties,
  type QoS,
  readServerPacket,
} from '@godwit/packet'
import { tell } from '../output/streams.ts'
import { nowUs } from './clock.ts'
import { CLOSED, connectFailure, INTERRUPTED } from './connect-failure.ts'
import type { ConnectReport } from './engine-reports.ts'
import { Health, type HealthReport } from './health.ts'
import { Latencies } from './histogram.ts'
import { Answers } from './many-answers.ts'
import type { ManyInterval, ManyReport } from './many-reports.ts'
import { type OpenerOptions, openAll, type Timer } from './opener.ts'
import { PaceWheel } from './pacing.ts'
import { readLimits } from './preflight.ts'
import { Random } from './random.ts'
import { type Link, type LinkOwner, openLink } from './session-link.ts'
import type { ManySettings } from './settings.ts'
import { isPortTaken, PORT_ATTEMPTS_MAX, SourcePorts } from './source-ports.ts'

const State = { DOWN: 0, CONNECTING: 1, UP: 2, LEFT: 3 } as const
const TICK_MS = 20
const PING_AFTER = 0.7
const PINGREQ: Uint8Array = new Uint8Array([0xc0, 0])
const DISCONNECT: Uint8Array = new Uint8Array([0xe0, 0])
const PUBREL: Uint8Array = new Uint8Array([0x62, 2, 0, 1])

const CLOSE_MS = 3_000
/** How long answers may be on their way when publishing has ended. */
const SETTLE_MS = 5_000
/** Without a limit so many places are made at first. */
const FIRST_PLACES = 1024

type Done = (failure: Error | null) => void

interface Opening {
  readonly fromUs: number
  readonly done: Done
  /** How many ports were taken. */
  attempts: number
}

export class ManyEngine implements LinkOwner {
  private readonly settings: ManySettings
  private readonly worker: number
  private readonly random: Random
  private readonly sources: SourcePorts
  /** How many sessions there are to be; 0 until something is exhausted. */
  private readonly wanted: number
  private count = 0
  /** Of these, when opening was interrupted. */
  private neverOpened = 0
  private readonly links: (Link | null)[] = []
  private states = new Uint8Array(FIRST_PLACES)
  private readonly answers = new Answers(FIRST_PLACES)
  private readonly opening = new Map<number, Opening>()
  /** Of sessions whose last chunk ended within a packet. */
  private readonly partial = new Map<number, Decoder>()
  private decoder = new Decoder(PACKET_BYTES_MAX)
  private readonly down: number[] = []
  private pace: PaceWheel | null = null
  private pings: PaceWheel | null = null
  private ticker: NodeJS.Timeout | null = null
  private readonly health = new Health()
  private readonly connecting = new Latencies()
  private readonly errors = new Map<string, number>()
  private readonly timer: Timer = { nowUs, after: (ms, act) => void setTimeout(act, ms) }
  private up = 0
  private published = 0
  /** Messages that were due while a session was down, or still waited for an answer. */
  private missed = 0
  private received = 0
  private broken = 0
  private reconnects = 0
  private failedReconnects = 0
  private dead = 0
  private readonly stopping = { aborted: false }
  private memoryBefore = 0
  private memoryPerSession = 0
  private startUs = 0
  private intervalUs = 0
  private isReconnecting = false
  private isStorming = false
  private healthAtEnd: HealthReport | null = null
  private connack: Properties = {}

  constructor(settings: ManySettings, worker: number) {
    this.settings = settings
    this.worker = worker
    this.random = new Random(settings.seed).fork(worker)
    const { sessions, processes, connection, seed } = settings
    const { sourceAddresses, targets } = connection
    const { portFrom, portTo } = readLimits()
    const range = portFrom === null || portTo === null ? null : { from: portFrom, to: portTo }
    this.sources = new SourcePorts(sourceAddresses, targets.length, range, seed)
    const share = Math.floor(sessions / processes)
    this.wanted = sessions === 0 ? 0 : share + (worker < sessions % processes ? 1 : 0)
  }

  /** Opens all sessions, or as many as possible. */
  async connect(): Promise<ConnectReport> {
    const startUs = nowUs()
    this.health.start()
    this.startUs = startUs
    this.intervalUs = startUs
    this.memoryBefore = process.memoryUsage.rss()
    if (this.wanted === 0) await this.openUntilExhausted()
    else await this.openSome(Array.from({ length: this.wanted }, (_, i) => i))
    if (this.stopping.aborted) {
      this.count = this.states.lastIndexOf(State.UP) + 1
      this.neverOpened = this.count - this.up
    }
    const used = process.memoryUsage.rss() - this.memoryBefore
    this.memoryPerSession = this.up === 0 ? 0 : used / this.up
    return {
      wanted: this.wanted === 0 ? this.up : this.wanted,
      connected: this.up,
      seconds: (nowUs() - startUs) / 1e6,
      encoded: this.connecting.encoded(),
      errors: [...this.errors],
      connack: this.connack,
      packetBytesMax: 0,
    }
  }

  /** No more are opened, and those under way are given up: `connect` ends with what there is. */
  stopConnecting(): void {
    this.stopping.aborted = true
    for (const session of [...this.opening.keys()]) {
      this.links[session]?.cut()
      this.linkClosed(session, new Error(INTERRUPTED))
    }
  }

  /** Sessions say something from now on. */
  hold(): void {
    const { paceMs, paceJitter, connection } = this.settings
    const now = nowUs()
    this.health.begin()
    const keepAliveMs = connection.keepAliveSeconds * 1e3
    if (paceMs > 0) {
      this.pace = new PaceWheel(this.count, paceMs * 1e3, paceJitter, now, this.random.fork(1))
    }
    const isQuiet = paceMs === 0 || paceMs * (1 + paceJitter) > keepAliveMs * PING_AFTER
    if (isQuiet && keepAliveMs > 0) {
      const everyUs = keepAliveMs * PING_AFTER * 1e3
      this.pings = new PaceWheel(this.count, everyUs, 0.1, now, this.random.fork(2))
    }
    for (let session = 0; session < this.count; session++) {
      this.pace?.begin(session, now)
      this.pings?.begin(session, now)
    }
    this.ticker = setInterval(this.tick, TICK_MS)
  }

  /** Cuts a part of the sessions and brings them back. */
  async storm(share: number): Promise<void> {
    const cut: number[] = []
    for (let session = 0; session < this.count; session++) {
      if (this.states[session] !== State.UP || this.random.unit() >= share) continue
      this.links[session]?.cut()
      this.fell(session)
      cut.push(session)
    }
    this.isStorming = true
    const failed = await this.openSome(cut)
    this.isStorming = false
    this.reconnects += cut.length - failed.length
    this.failedReconnects += failed.length
    this.down.push(...failed)
  }

  interval(): ManyInterval {
    const toUs = nowUs()
    const fromUs = this.intervalUs
    this.intervalUs = toUs
    return {
      fromSeconds: (fromUs - this.startUs) / 1e6,
      toSeconds: (toUs - this.startUs) / 1e6,
      up: this.up,
      published: this.published,
      answered: this.answers.answered,
      open: this.answers.open,
      received: this.received,
      ack: this.answers.latencies.takeInterval(),
      loopDelayMs: this.health.takeLoopDelayMs(),
      memoryBytes: process.memoryUsage.rss(),
    }
  }

  /** Nothing more is said; answers that are on their way get the time to come. */
  async awaitAnswers(): Promise<void> {
    if (this.ticker !== null) clearInterval(this.ticker)
    this.ticker = null
    this.healthAtEnd = this.health.report()
    const { connectTimeoutMs, keepAliveSeconds } = this.settings.connection
    // Nobody pings meanwhile.
    const quietMs = keepAliveSeconds === 0 ? SETTLE_MS : keepAliveSeconds * 500
    const untilUs = nowUs() + Math.min(SETTLE_MS, connectTimeoutMs, quietMs) * 1e3
    while (this.answers.open > 0 && nowUs() < untilUs) await pause(TICK_MS)
  }

  /** Asks every session whether it is there, and reports. */
  async report(): Promise<ManyReport> {
    const alive = await this.rollCall()
    const { asked, answered, refused, cutOff, latencies } = this.answers
    return {
      published: this.published,
      missed: this.missed,
      asked,
      answered,
      refused,
      cutOff,
      received: this.received,
      broken: this.broken,
      reconnects: this.reconnects,
      failedReconnects: this.failedReconnects,
      dead: this.dead,
      alive,
      sessions: this.count - this.neverOpened,
      ack: latencies.encoded(),
      connect: this.connecting.encoded(),
      bytesPerSession: this.memoryPerSession,
      health: this.healthAtEnd ?? this.health.report(),
      errors: [...this.errors],
    }
  }

  async close(): Promise<void> {
    if (this.ticker !== null) clearInterval(this.ticker)
    this.health.stop()
    let open = 0
    for (let session = 0; session < this.count; session++) {
      const link = this.links[session]
      if (this.states[session] === State.UP) {
        link?.finish(DISCONNECT)
        open++
      } else link?.cut()
      this.states[session] = State.LEFT
    }
    this.up = open
    const untilUs = nowUs() + CLOSE_MS * 1e3
    while (this.up > 0 && nowUs() < untilUs) await pause(TICK_MS)
  }

  linkOpened(session: number): void {
    const { level, keepAliveSeconds, username, password } = this.settings.connection
    const login = { clientId: this.clientId(session), username, password, will: null }
    const type = PacketType.CONNECT
    const rest = { cleanStart: true, bridge: false, keepAliveSeconds, properties: NO_PROPERTIES }
    this.links[session]?.send(
      encodePacket({ type, protocolLevel: level, ...login, ...rest }, level),
    )
  }

  linkReceived(session: number, bytes: Uint8Array, length: number): void {
    const decoder = this.partial.get(session) ?? this.decoder
    try {
      decoder.push(bytes.subarray(0, length))
      while (decoder.next()) this.onFrame(session, decoder)
    } catch (error) {
      this.links[session]?.cut()
      this.linkClosed(session, error as Error)
      return
    }
    if (decoder.pendingBytes === 0) {
      if (decoder !== this.decoder) this.partial.delete(session)
    } else if (decoder === this.decoder) {
      this.partial.set(session, decoder)
      this.decoder = new Decoder(PACKET_BYTES_MAX)
    }
  }

  linkClosed(session: number, error: Error | null): void {
    if (this.states[session] === State.LEFT) {
      this.up--
      return
    }
    const wasUp = this.states[session] === State.UP
    this.fell(session)
    if (this.dialsAgain(session, error)) return
    this.settle(session, error ?? new Error(CLOSED))
    if (!wasUp) return
    this.broken++
    this.note(error?.message ?? CLOSED)
    this.down.push(session)
  }

  private onFrame(session: number, decoder: Decoder): void {
    const { level } = this.settings.connection
    switch (decoder.first >> 4) {
      case PacketType.PUBLISH:
        this.onMessage(session, decoder)
        break
      case PacketType.PUBREC:
        if (isRefusal(decoder)) this.answers.refuse(session)
        else this.links[session]?.send(PUBREL)
        break
      case PacketType.PUBACK:
      case PacketType.PUBCOMP:
        if (isRefusal(decoder)) this.answers.refuse(session)
        else this.answers.answer(session)
        break
      case PacketType.PINGRESP:
        this.answers.answer(session)
        break
      default: {
        const { first, bytes, bodyStart, end } = decoder
        const packet = readServerPacket(first, bytes, bodyStart, end, level)
        if (packet.type === PacketType.CONNACK) this.onConnack(session, packet)
        else if (packet.type === PacketType.SUBACK) this.onSuback(session, packet.reasonCodes)
        else if (packet.type === PacketType.DISCONNECT) {
          this.note(`the broker says DISCONNECT 0x${packet.reasonCode.toString(16)}`)
        }
      }
    }
  }

  private onConnack(session: number, packet: { reasonCode: number; properties: Properties }): void {
    if (packet.reasonCode !== 0) {
      this.links[session]?.cut()
      this.linkClosed(session, new Error(`CONNACK says 0x${packet.reasonCode.toString(16)}`))
      return
    }
    this.connack = packet.properties
    const { subscribe, qos, connection } = this.settings
    if (subscribe === '') {
      this.rose(session)
      return
    }
    const filter = subscribe.replaceAll('{client}', String(this.numberOf(session)))
    const options = { qos, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
    const subscriptions = [{ filter, ...options }]
    const properties = NO_PROPERTIES
    const packetToSend = { type: PacketType.SUBSCRIBE, packetId: 1, subscriptions, properties }
    this.links[session]?.send(encodePacket(packetToSend, connection.level))
  }

  private onSuback(session: number, reasonCodes: readonly number[]): void {
    const refused = reasonCodes.find(code => code >= 0x80)
    if (refused === undefined) this.rose(session)
    else {
      this.links[session]?.cut()
      this.linkClosed(session, new Error(`SUBACK says 0x${refused.toString(16)}`))
    }
  }

  private onMessage(session: number, decoder: Decoder): void {
    const { bytes, first, bodyStart } = decoder
    const qos = (first >> 1) & 3
    this.received++
    if (qos === 0) return
    const at = bodyStart + 2 + ((bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!)
    const type = qos === 1 ? 0x40 : 0x50
    this.links[session]?.send(new Uint8Array([type, 2, bytes[at]!, bytes[at + 1]!]))
  }

  private readonly tick = (): void => {
    const now = nowUs()
    this.pace?.due(now, session => {
      this.speak(session, now)
      this.pace?.again(session, now)
    })
    this.pings?.due(now, session => {
      if (this.states[session] === State.UP && !this.answers.isOpen(session)) {
        this.links[session]?.send(PINGREQ)
        this.answers.ask(session, now)
      }
      this.pings?.again(session, now)
    })
    if (this.down.length > 0 && !this.isReconnecting && !this.isStorming) void this.bringBack()
  }

  /** A session says its message; at QoS 0 a ping behind it asks for the answer. */
  private speak(session: number, now: number): void {
    const { qos, connection } = this.settings
    if (this.states[session] !== State.UP || this.answers.isOpen(session)) {
      this.missed++
      const waitedUs = this.answers.waitedUs(session, now)
      if (waitedUs > connection.connectTimeoutMs * 1e3) this.bury(session)
      return
    }
    this.links[session]?.send(this.messageOf(session, qos))
    this.published++
    if (qos === 0) this.links[session]?.send(PINGREQ)
    this.answers.ask(session, now)
    if (connection.dump) tell(`${this.clientId(session)} publishes`)
  }

  private messageOf(session: number, qos: QoS): Uint8Array {
    const number = String(this.numberOf(session))
    const { topic, message, connection } = this.settings
    const payload = encodeUtf8(message.replaceAll('{client}', number))
    const name = topic.replaceAll('{client}', number)
    const packet = {
      type: PacketType.PUBLISH,
      topic: name,
      payload,
      qos,
      packetId: qos > 0 ? 1 : 0,
    }
    const rest = { retain: false, dup: false, properties: NO_PROPERTIES }
    return encodePacket({ ...packet, ...rest }, connection.level)
  }

  /** A session that does not answer is dead, whatever its connection looks like. */
  private bury(session: number): void {
    this.dead++
    this.links[session]?.cut()
    this.linkClosed(session, new Error('a session gave no answer in time'))
  }

  private async bringBack(): Promise<void> {
    this.isReconnecting = true
    const sessions = this.down.splice(0)
    const failed = await this.openSome(sessions)
    this.reconnects += sessions.length - failed.length
    this.failedReconnects += failed.length
    // Not at once: a broker that refuses would be asked without a pause.
    if (failed.length > 0) await pause(1000)
    this.down.push(...failed)
    this.isReconnecting = false
  }

  /** @returns the sessions that failed */
  private async openSome(sessions: readonly number[]): Promise<number[]> {
    const failed: number[] = []
    const last = sessions.reduce((highest, session) => Math.max(highest, session), -1)
    this.makePlaces(last + 1)
    await openAll(sessions.length, this.openerOptions, this.timer, (index, done) => {
      const session = sessions[index]!
      this.openOne(session, failure => {
        if (failure !== null) failed.push(session)
        done()
      })
    })
    return failed
  }

  /** One after the other, until the first that fails. */
  private async openUntilExhausted(): Promise<void> {
    const { connectConcurrency } = this.settings.connection
    for (;;) {
      const from = this.count
      const batch = Array.from({ length: connectConcurrency }, (_, i) => from + i)
      const failed = await this.openSome(batch)
      if (failed.length > 0 || this.stopping.aborted) return
    }
  }

  private openOne(session: number, done: Done): void {
    const { connection } = this.settings
    const { connectTimeoutMs } = connection
    const timer = setTimeout(() => {
      this.links[session]?.cut()
      this.linkClosed(session, new Error(`no CONNACK within ${connectTimeoutMs} ms`))
    }, connectTimeoutMs)
    this.opening.set(session, {
      fromUs: nowUs(),
      attempts: 0,
      done: failure => {
        clearTimeout(timer)
        if (failure !== null && failure.message !== INTERRUPTED)
          this.note(connectFailure(failure, connection, this.numberOf(session)))
        done(failure)
      },
    })
    this.dial(session, 0)
  }

  private dial(session: number, attempt: number): void {
    const { targets, tls } = this.settings.connection
    const number = this.numberOf(session)
    const target = targets[number % targets.length]!
    const source = this.sources.sourceOf(number, attempt)
    this.states[session] = State.CONNECTING
    this.links[session] = openLink(session, target, source, tls, this)
  }

  /** @returns whether the session tries another port of its address */
  private dialsAgain(session: number, error: Error | null): boolean {
    const opening = this.opening.get(session)
    if (opening === undefined || error === null || !isPortTaken(error)) return false
    if (this.settings.connection.sourceAddresses.length === 0) return false
    if (++opening.attempts > PORT_ATTEMPTS_MAX) return false
    this.dial(session, opening.attempts)
    return true
  }

  private rose(session: number): void {
    if (this.states[session] === State.UP) return
    this.states[session] = State.UP
    this.up++
    this.connecting.record(nowUs() - (this.opening.get(session)?.fromUs ?? nowUs()))
    this.settle(session, null)
  }

  private fell(session: number): void {
    if (this.states[session] === State.UP) this.up--
    this.states[session] = State.DOWN
    this.links[session] = null
    this.answers.drop(session)
    this.partial.delete(session)
  }

  private settle(session: number, failure: Error | null): void {
    const opening = this.opening.get(session)
    this.opening.delete(session)
    opening?.done(failure)
  }

  /** @returns how many answered */
  private async rollCall(): Promise<number> {
    const now = nowUs()
    for (let session = 0; session < this.count; session++) {
      if (this.states[session] !== State.UP || this.answers.isOpen(session)) continue
      this.links[session]?.send(PINGREQ)
      this.answers.call(session, now)
    }
    const untilUs = now + this.settings.connection.connectTimeoutMs * 1e3
    while (this.answers.open > 0 && nowUs() < untilUs) await pause(TICK_MS)
    // Who has a question out is connected: what is dropped is asked no more.
    return this.up - this.answers.open
  }

  private makePlaces(count: number): void {
    if (count <= this.count) return
    this.count = count
    if (count <= this.states.length) return
    const places = Math.max(count, this.states.length * 2)
    const states = new Uint8Array(places)
    states.set(this.states)
    this.states = states
    this.answers.makePlaces(places)
  }

  private get openerOptions(): OpenerOptions {
    const { connectsPerSecond, connectConcurrency } = this.settings.connection
    const { processes } = this.settings
    return {
      perSecond: connectsPerSecond / processes,
      concurrency: Math.max(1, Math.ceil(connectConcurrency / processes)),
      stopping: this.stopping,
    }
  }

  /** Sessions of the processes take turns, so that each process has every target and address. */
  private numberOf(session: number): number {
    const { processes, connection } = this.settings
    return connection.startNumber + session * processes + this.worker
  }

  private clientId(session: number): string {
    return `${this.settings.connection.clientIdPrefix}${this.numberOf(session)}`
  }

  private note(text: string): void {
    this.errors.set(text, (this.errors.get(text) ?? 0) + 1)
  }
}

function isRefusal({ bytes, bodyStart, end }: Decoder): boolean {
  return end - bodyStart > 2 && bytes[bodyStart + 2]! >= 0x80
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
