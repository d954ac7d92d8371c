// The $SYS topics: the origin's five names and those that Mosquitto publishes, retained.
// Rates are averages over the interval; loads decay over 1, 5 and 15 minutes as Mosquitto's do.

import { encodeUtf8, NO_PROPERTIES } from '@godwit/packet'
import type { Broker } from './broker.ts'
import { Survey } from './survey.ts'

const ROOT = '$SYS/broker'
const SERVER_LEVELS: readonly string[] = ['$SYS', '$share']
const LOAD_MINUTES = [1, 5, 15] as const
/** Sessions and groups that are looked at in one tick: less than a millisecond. */
const SURVEY_STEP = 10_000

/** Counters whose load is published, by Mosquitto's name. */
type LoadName =
  | 'messages/received'
  | 'messages/sent'
  | 'publish/received'
  | 'publish/sent'
  | 'publish/dropped'
  | 'bytes/received'
  | 'bytes/sent'
  | 'sockets'
  | 'connections'

/**
 * Topics that are the server's own or stand for no topic at all: clients publish nothing on them.
 * MQTT 5.0 sections 4.7.2 and 4.8.2.
 */
export function isOfServer(topic: string): boolean {
  return SERVER_LEVELS.some(
    level =>
      topic.startsWith(level) && (topic.length === level.length || topic[level.length] === '/'),
  )
}

export class SysTopics {
  private readonly broker: Broker
  private readonly published = new Map<string, string>()
  private readonly loads = new Map<string, number>()
  private before = new Map<LoadName, number>()
  private publishedAtMs: number
  /** What it finds is told when it is done; null: it has been. */
  private survey: Survey | null = null
  private heapBytesMax = 0

  constructor(broker: Broker) {
    this.broker = broker
    this.publishedAtMs = broker.nowMs
  }

  tick(): void {
    if (this.survey !== null) this.goOn(this.survey)
    const intervalMs = this.broker.options.statsIntervalSeconds * 1000
    if (intervalMs === 0 || this.broker.nowMs - this.publishedAtMs < intervalMs) return
    this.publishAll()
  }

  publishAll(): void {
    if (this.broker.options.statsIntervalSeconds === 0) return
    const { broker } = this
    const elapsedMs = broker.nowMs - this.publishedAtMs
    this.publishedAtMs = broker.nowMs
    const before = this.before.get('messages/received') ?? 0
    const rate = elapsedMs > 0 ? ((broker.counters.packetsReceived - before) * 1000) / elapsedMs : 0
    this.set('messages/per-sec', rate.toFixed(2))
    this.publishClients()
    this.publishMessages()
    this.publishHeap()
    this.publishLoads(elapsedMs)
    this.set('version', `godwit version ${broker.options.version}`)
    this.set('uptime', `${Math.floor((broker.nowMs - broker.startedAtMs) / 1000)} seconds`)
    this.survey ??= new Survey(broker)
    this.goOn(this.survey)
  }

  /** Nobody counts messages that wait on the way: it would cost each of them. */
  private goOn(survey: Survey): void {
    if (survey.step(SURVEY_STEP)) return
    this.survey = null
    const stored = survey.queuedMessages + this.broker.retainer.messages.count
    this.set('store/messages/count', stored)
    this.set('messages/stored', stored)
    this.set('messages/inflight', survey.inFlight)
  }

  private publishHeap(): void {
    const bytes = this.broker.options.heapBytes?.() ?? 0
    if (bytes === 0) return
    this.heapBytesMax = Math.max(this.heapBytesMax, bytes)
    this.set('heap/current', bytes)
    this.set('heap/maximum', this.heapBytesMax)
  }

  private publishClients(): void {
    const { counters, sessions, subscriptionCount, groups } = this.broker
    const total = sessions.count
    this.set('clients/active', counters.clientsConnected)
    this.set('clients/connected', counters.clientsConnected)
    this.set('clients/disconnected', total - counters.clientsConnected)
    this.set('clients/inactive', total - counters.clientsConnected)
    this.set('clients/expired', counters.clientsExpired)
    this.set('clients/maximum', counters.clientsMaximum)
    this.set('clients/total', total)
    this.set('subscriptions/count', subscriptionCount)
    this.set('shared_subscriptions/count', groups.count)
  }

  private publishMessages(): void {
    const { counters, ledger, retainer, queues } = this.broker
    this.set('messages/received', counters.packetsReceived)
    this.set('messages/sent', counters.packetsSent)
    this.set('publish/messages/received', counters.publishReceived)
    this.set('publish/messages/sent', counters.publishSent)
    this.set('publish/messages/dropped', ledger.total - ledger.totalOf('offline'))
    this.set('publish/bytes/received', counters.publishBytesReceived)
    this.set('publish/bytes/sent', counters.publishBytesSent)
    this.set('bytes/received', counters.bytesReceived)
    this.set('bytes/sent', counters.bytesSent)
    this.set('retained messages/count', retainer.messages.count)
    const { full, low, freeBytes } = this.broker.ports.store
    this.set('godwit/store/full', full ? 1 : 0)
    this.set('godwit/store/low', low ? 1 : 0)
    if (freeBytes !== null) this.set('godwit/store/free', freeBytes)
    this.set('store/messages/bytes', queues.totalBytes + retainer.messages.bytes)
    for (const reason of ledger.reasons()) {
      this.set(`godwit/dropped/${reason}`, ledger.totalOf(reason))
    }
  }

  private publishLoads(elapsedMs: number): void {
    const { counters, ledger } = this.broker
    const now = new Map<LoadName, number>([
      ['messages/received', counters.packetsReceived],
      ['messages/sent', counters.packetsSent],
      ['publish/received', counters.publishReceived],
      ['publish/sent', counters.publishSent],
      ['publish/dropped', ledger.total - ledger.totalOf('offline')],
      ['bytes/received', counters.bytesReceived],
      ['bytes/sent', counters.bytesSent],
      ['sockets', counters.connectionsOpened],
      ['connections', counters.connectionsOpened - counters.connectionsRefused],
    ])
    for (const [name, value] of now) {
      const perMinute =
        elapsedMs > 0 ? ((value - (this.before.get(name) ?? 0)) * 60_000) / elapsedMs : 0
      for (const minutes of LOAD_MINUTES) {
        const key = `load/${name}/${minutes}min`
        const share = elapsedMs > 0 ? 1 - Math.exp(-elapsedMs / (minutes * 60_000)) : 0
        const load = this.loads.get(key) ?? 0
        this.loads.set(key, load + share * (perMinute - load))
        this.set(key, (this.loads.get(key) ?? 0).toFixed(2))
      }
    }
    this.before = now
  }

  /** Publishes a value that has changed. */
  private set(name: string, value: string | number): void {
    const text = String(value)
    if (this.published.get(name) === text) return
    this.published.set(name, text)
    const payload = encodeUtf8(text)
    const topic = `${ROOT}/${name}`
    this.broker.publish({ topic, payload, qos: 0, retain: true, properties: NO_PROPERTIES })
  }
}
