// hot
// One process's part of a run of `ping` or `load`: its schedule, what it sends and when, what it
// measures. The coordinator tells it when to begin, stop and report; it talks to no other process.

import { type Client, type ClientHost, NO_LIMIT } from './client.ts'
import { ClientSet, type Member } from './client-set.ts'
import { nowUs } from './clock.ts'
import { CLOSED, connectFailure, INTERRUPTED } from './connect-failure.ts'
import { type Dialer, dialer } from './dialer.ts'
import type {
  ConnectReport,
  IntervalReport,
  PartReport,
  Progress,
  SentTable,
  Snapshot,
} from './engine-reports.ts'
import { Health } from './health.ts'
import { Latencies } from './histogram.ts'
import { elapsedUs, wrapped } from './message.ts'
import { type OpenerOptions, openAll } from './opener.ts'
import { Schedule, shareOf } from './pacing.ts'
import { planOf } from './plan.ts'
import { Random } from './random.ts'
import type { LoadSettings } from './settings.ts'
import type { Transport, TransportOwner } from './transport.ts'
import { Arrival } from './verdict.ts'

const HOUSEKEEPING_MS = 100
/** Where this process itself stood still, answers that are there are read after the first looks. */
const QUIET_LOOKS = 3
/** A wait that is shorter is polled: timers have whole milliseconds. */
const POLL_BELOW_US = 2_000
/** Messages that are due and cannot be sent, all publishers together. */
const BACKLOG_MAX = 5_000_000
/** How long DISCONNECT may take to leave. */
const CLOSE_US = 2e6
const FOR_EVER = 0x7fffffff
const ACK_NAMES: Readonly<Record<number, string>> = { 4: 'PUBACK', 5: 'PUBREC', 7: 'PUBCOMP' }

export class Engine implements ClientHost {
  private readonly settings: LoadSettings
  private readonly set: ClientSet
  private readonly random: Random
  private readonly dialer: Dialer
  private readonly response = new Latencies()
  private readonly service = new Latencies()
  private readonly ack = new Latencies()
  private readonly connecting = new Latencies()
  private readonly slip = new Latencies()
  private readonly health = new Health()
  private readonly isClosedLoop: boolean
  private readonly stopping = { aborted: false }
  private readonly opening = new Set<Client>()
  private readonly errors = new Map<string, number>()
  private marked: Client[] = []
  private flushWaits = false
  private schedule: Schedule | null = null
  private nextPublisher = 0
  private nextUnknown = 0
  private startUs = 0
  private endUs = Number.POSITIVE_INFINITY
  private measureFromUs = Number.POSITIVE_INFINITY
  private isMeasuring = false
  private isPublishing = false
  private hasBegun = false
  private finished: (() => void) | null = null
  private warmUp: NodeJS.Timeout | undefined
  private housekeeper: NodeJS.Timeout | null = null
  private worked = 0
  private polledFromUs = 0
  private scheduled = 0
  private scheduledMax = 0
  private received = 0
  private acked = 0
  private unverifiedCount = 0
  private refusedCount = 0
  private missed = 0
  private slowReceived = 0
  private broken = 0
  private reconnects = 0
  private lastArrivalUs = 0
  private intervalFromUs = 0
  /** Retained messages are timed from the SUBSCRIBE that asks for them; 0 otherwise. */
  private subscribedUs = 0
  private base: Snapshot = { atUs: 0, scheduled: 0, sent: 0, acked: 0, received: 0 }
  private end: Snapshot = { atUs: 0, scheduled: 0, sent: 0, acked: 0, received: 0 }

  constructor(settings: LoadSettings, worker: number, run: number) {
    this.settings = settings
    this.isClosedLoop = settings.arrivals === null
    this.random = new Random(settings.seed).fork(worker)
    this.dialer = dialer(settings.connection)
    this.set = new ClientSet(settings, planOf(settings), worker, run, this)
  }

  nowUs(): number {
    return nowUs()
  }

  open(client: Client, owner: TransportOwner): Transport {
    return this.dialer.open(client.index, owner)
  }

  async connect(): Promise<ConnectReport> {
    const startUs = nowUs()
    this.housekeeper = setInterval(this.keepHouse, HOUSEKEEPING_MS)
    const { members } = this.set
    const connected = await this.openSome(members, true, this.stopping)
    return {
      wanted: members.length,
      connected,
      seconds: (nowUs() - startUs) / 1e6,
      encoded: this.connecting.encoded(),
      errors: [...this.errors],
      connack: members.find(({ client }) => client.isReady)?.client.connack?.properties ?? {},
      packetBytesMax: this.set.packetBytesMax,
    }
  }

  /** No more are opened, and those under way are given up: `connect` and `subscribe` end. */
  stopOpening(): void {
    this.stopping.aborted = true
    for (const client of [...this.opening]) client.giveUp(INTERRUPTED)
  }

  /** Subscribes all that have filters. @returns what went wrong */
  async subscribe(): Promise<string[]> {
    const failures: string[] = []
    const { connectConcurrency } = this.settings.connection
    if (this.settings.retainedMessages > 0) this.subscribedUs = nowUs()
    const receivers = this.set.members.filter(
      ({ client, plan }) => plan.filters.length > 0 && client.isReady,
    )
    await openAll(
      receivers.length,
      { perSecond: 0, concurrency: connectConcurrency, stopping: this.stopping },
      this.dialer.timer,
      (index, done) => {
        const { client, plan } = receivers[index]!
        this.opening.add(client)
        client.subscribe(plan.filters, this.settings.qos, failure => {
          this.opening.delete(client)
          if (failure !== null) failures.push(failure.message)
          done()
        })
      },
    )
    return failures
  }

  /** Publishes from `startUs` on. Resolves when the last message is sent or its time is over. */
  publish(startUs: number): Promise<void> {
    const { settings } = this
    const { durationMs, warmupMs } = settings
    this.startUs = startUs
    this.intervalFromUs = startUs
    this.lastArrivalUs = startUs
    // A timer may be early by a part of a millisecond: without warm-up everything counts.
    this.measureFromUs = warmupMs === 0 ? 0 : startUs + warmupMs * 1e3
    this.endUs =
      durationMs === 0 ? Number.POSITIVE_INFINITY : startUs + (warmupMs + durationMs) * 1e3
    this.scheduledMax = settings.messages * this.set.publishers.length
    this.isPublishing = true
    this.isMeasuring = warmupMs === 0
    this.base.atUs = startUs
    this.health.start()
    const fromNowMs = (us: number): number => Math.max(0, (us - nowUs()) / 1e3)
    const finished = new Promise<void>(resolve => {
      this.finished = resolve
    })
    setTimeout(() => this.begin(), fromNowMs(startUs))
    if (warmupMs > 0) {
      this.warmUp = setTimeout(() => this.measure(), fromNowMs(this.measureFromUs))
    }
    return finished
  }

  /** Stops publishing now, as at its end. What is due and unsent is sent while there is time. */
  stop(): void {
    if (!this.isPublishing) return
    this.isPublishing = false
    clearTimeout(this.warmUp)
    this.snapshot(this.end)
    // Before the warm-up is over nothing was measured.
    if (!this.isMeasuring) this.snapshot(this.base)
    if (this.isClosedLoop) for (const { client } of this.set.publishers) client.remaining = 0
    const { finished } = this
    this.finished = null
    finished?.()
  }

  /** Cuts a part of the connections as a power cut would, and connects them again. */
  async storm(share: number): Promise<void> {
    const { members } = this.set
    const cut = members.filter(({ client }) => client.isReady && this.random.unit() < share)
    for (const { client } of cut) client.cut()
    this.reconnects += await this.openSome(cut, false)
    const gone = cut.filter(
      ({ client, plan }) => plan.filters.length > 0 && client.connack?.sessionPresent === false,
    )
    for (const { client, plan } of gone) {
      if (client.isReady) client.subscribe(plan.filters, this.settings.qos, () => undefined)
    }
  }

  sentTable(): SentTable {
    return this.set.sentTable()
  }

  progress(sent: SentTable): Progress {
    let open = this.set.unacknowledged
    for (const { client } of this.set.publishers) open += client.backlog
    const { expected, received } = this.set.deliveryOf(sent, this.received)
    return { expected, received, open }
  }

  /** What was seen since the last call, for a live display and the time line. */
  interval(): IntervalReport {
    const toUs = nowUs()
    const fromUs = this.intervalFromUs
    this.intervalFromUs = toUs
    return {
      fromSeconds: (fromUs - this.startUs) / 1e6,
      toSeconds: (toUs - this.startUs) / 1e6,
      sent: this.set.sentCount,
      acked: this.acked,
      received: this.received,
      connections: this.set.connections,
      response: this.response.takeInterval(),
      service: this.service.takeInterval(),
      ack: this.ack.takeInterval(),
      loopDelayMs: this.health.takeLoopDelayMs(),
      isWarmup: !this.isMeasuring,
    }
  }

  report(sent: SentTable): PartReport {
    const unsent = this.set.publishers.reduce((sum, { client }) => sum + client.due.length, 0)
    return {
      hasMeasured: this.isMeasuring,
      base: this.base,
      end: this.end,
      startUs: this.startUs,
      lastArrivalUs: this.lastArrivalUs,
      totals: {
        sent: this.set.sentCount,
        acked: this.acked,
        received: this.received,
        unverified: this.unverifiedCount,
        compared: this.set.payloadCheck.compared,
        refused: this.refusedCount,
        missed: this.missed + unsent,
        unacknowledged: this.set.unacknowledged,
        broken: this.broken,
        reconnects: this.reconnects,
        slowReceived: this.slowReceived,
      },
      delivery: this.set.deliveryOf(sent, this.received),
      forgottenGaps: this.set.forgottenGaps,
      encoded: {
        response: this.response.encoded(),
        service: this.service.encoded(),
        ack: this.ack.encoded(),
        connect: this.connecting.encoded(),
        slip: this.slip.encoded(),
      },
      health: this.health.report(),
      errors: [...this.errors],
    }
  }

  /** Leaves the broker without sessions of its own. */
  async close(): Promise<void> {
    this.stop()
    if (this.settings.retainedMessages > 0) {
      for (const { client } of this.set.publishers) client.clearRetained()
    }
    if (this.settings.keepsSession) {
      const known = this.set.members.filter(({ client }) => client.connack !== null)
      for (const { client } of known) {
        client.cut()
        client.forgetSession()
      }
      await this.openSome(known, true)
    }
    if (this.housekeeper !== null) clearInterval(this.housekeeper)
    this.health.stop()
    for (const { client } of this.set.members) client.disconnect()
    const untilUs = nowUs() + CLOSE_US
    while (this.set.members.some(({ client }) => !client.isGone) && nowUs() < untilUs) {
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  message(
    client: Client,
    stream: number,
    sequence: number,
    intendedUs: number,
    sentUs: number,
    now: number,
  ): void {
    const { checks, role } = this.set.byIndex[client.index]!
    if (checks === null) {
      this.slowReceived++
      return
    }
    this.worked++
    this.lastArrivalUs = now
    if (checks.arrived(stream, sequence) > Arrival.LATE) return
    this.received++
    if (role === 'answerer') client.echo(sequence, intendedUs, sentUs, now)
    else if (role !== 'watcher' && this.isMeasuring) this.time(intendedUs, sentUs, now)
    if (this.isClosedLoop) this.giveBack(stream, role === 'asker' ? client : null)
  }

  unverified(client: Client, isOlder: boolean): void {
    this.unverifiedCount++
    this.worked++
    this.lastArrivalUs = nowUs()
    const { checks, plan } = this.set.byIndex[client.index]!
    if (checks === null) this.slowReceived++
    else if (this.settings.plain && !isOlder) {
      this.received++
      if (this.isClosedLoop) this.giveBackUnknown(plan.receivesFrom, plan.receivesCount)
    }
  }

  damaged(client: Client): void {
    this.set.byIndex[client.index]?.checks?.noteDamaged()
  }

  otherQoS(client: Client): void {
    this.set.byIndex[client.index]?.checks?.noteOtherQoS()
  }

  credit(client: Client): void {
    if (client.isMarked || client.backlog === 0) return
    this.mark(client)
    this.flushSoon()
  }

  acknowledged(_client: Client, sentUs: number, now: number): void {
    this.acked++
    this.worked++
    const elapsed = elapsedUs(now, sentUs)
    if (this.isMeasuring && elapsed <= now - this.measureFromUs) this.ack.record(elapsed)
  }

  refused(_client: Client, reasonCode: number): void {
    this.refusedCount++
    this.note(`a PUBLISH was refused with 0x${reasonCode.toString(16)}`)
  }

  unasked(_client: Client, type: number): void {
    const name = ACK_NAMES[type] ?? 'acknowledgement'
    this.note(`a ${name} came for no message that waits for one`)
  }

  lost(_client: Client, error: Error | null): void {
    this.broken++
    this.note(error?.message ?? CLOSED)
    if (this.settings.storm !== null) return
    if (this.set.publishers.every(({ client }) => !client.isReady)) this.stop()
  }

  /** @returns how many are open */
  private async openSome(
    members: readonly Member[],
    clean: boolean,
    stopping: OpenerOptions['stopping'] = { aborted: false },
  ): Promise<number> {
    const { processes, connection } = this.settings
    const { connectsPerSecond, connectConcurrency, connectTimeoutMs } = connection
    let opened = 0
    const options = {
      perSecond: connectsPerSecond / processes,
      concurrency: Math.max(1, Math.ceil(connectConcurrency / processes)),
      stopping,
    }
    await openAll(members.length, options, this.dialer.timer, (index, done) => {
      const { client } = members[index]!
      this.opening.add(client)
      const fromUs = nowUs()
      const timer = setTimeout(
        () => client.abandon(`no CONNACK within ${connectTimeoutMs} ms`),
        connectTimeoutMs,
      )
      client.connect(clean, failure => {
        clearTimeout(timer)
        this.opening.delete(client)
        if (failure === null) {
          opened++
          this.connecting.record(nowUs() - fromUs)
        } else if (failure.message !== INTERRUPTED) {
          this.note(connectFailure(failure, this.settings.connection, client.index))
        }
        done()
      })
    })
    return opened
  }

  private begin(): void {
    if (!this.isPublishing) return
    const { arrivals, messages, window, qos, kind } = this.settings
    const { publishers, publisherTotal } = this.set
    if (publishers.length === 0) {
      this.stop()
      return
    }
    if (arrivals !== null) {
      const share = shareOf(arrivals, publishers.length, publisherTotal)
      this.schedule = new Schedule(share, this.startUs, this.random.fork(1))
      this.polledFromUs = nowUs()
      this.tick()
      return
    }
    this.hasBegun = true
    for (const { client, receivers } of publishers) {
      client.remaining = messages === 0 ? FOR_EVER : messages
      const hasWindow = kind === 'ping' || (qos === 0 && receivers > 0)
      client.windowLeft = hasWindow ? window : NO_LIMIT
      this.mark(client)
    }
    this.flush()
  }

  private measure(): void {
    if (!this.isPublishing) return
    this.isMeasuring = true
    this.measureFromUs = nowUs()
    this.health.begin()
    this.slip.reset()
    this.snapshot(this.base)
  }

  /** Takes from the schedule what is due, sends it, and comes back in time for the next. */
  private readonly tick = (): void => {
    const schedule = this.schedule
    if (schedule === null || !this.isPublishing) return
    const now = nowUs()
    if (this.worked === 0) this.health.polled((now - this.polledFromUs) / 1e3)
    this.worked = 0
    while (schedule.nextUs <= now && schedule.nextUs < this.endUs && !this.isAllScheduled) {
      this.take(schedule.nextUs, now)
      schedule.advance()
    }
    if (this.marked.length > 0) this.flush()
    if (now >= this.endUs || this.isAllScheduled) {
      this.stop()
      return
    }
    const waitUs = Math.min(schedule.nextUs, this.endUs) - now
    this.polledFromUs = nowUs()
    if (waitUs < POLL_BELOW_US && this.settings.spin) setImmediate(this.tick)
    else {
      this.worked++
      setTimeout(this.tick, Math.max(1, Math.floor(waitUs / 1e3) - 1))
    }
  }

  private get isAllScheduled(): boolean {
    return this.scheduledMax > 0 && this.scheduled >= this.scheduledMax
  }

  /** Hands a due message to a publisher; it goes out when window and network allow. */
  private take(intendedUs: number, now: number): void {
    this.scheduled++
    this.worked++
    this.slip.record(now - intendedUs)
    const { publishers } = this.set
    const count = publishers.length
    let at = this.nextPublisher
    if (this.settings.arrivals?.kind === 'poisson') at = this.random.below(count)
    else this.nextPublisher = at + 1 === count ? 0 : at + 1
    const { client } = publishers[at]!
    const isGone = !client.isReady && this.settings.storm === null
    if (isGone || client.due.length * count >= BACKLOG_MAX) {
      this.missed++
      return
    }
    client.due.push(wrapped(intendedUs))
    if (!client.isMarked) this.mark(client)
  }

  private time(intendedUs: number, sentUs: number, now: number): void {
    if (this.subscribedUs > 0) {
      this.response.record(now - this.subscribedUs)
      return
    }
    if (intendedUs === 0) return
    const elapsed = elapsedUs(now, intendedUs)
    // What was meant to be sent during the warm-up does not count.
    if (elapsed > now - this.measureFromUs) return
    this.response.record(elapsed)
    this.service.record(elapsedUs(now, sentUs))
  }

  private mark(client: Client): void {
    client.isMarked = true
    this.marked.push(client)
  }

  private flushSoon(): void {
    if (this.flushWaits) return
    this.flushWaits = true
    setImmediate(this.flush)
  }

  /** All that may send, send: one write per client and turn. */
  private readonly flush = (): void => {
    this.flushWaits = false
    const now = nowUs()
    const { marked } = this
    this.marked = []
    for (let i = 0; i < marked.length; i++) marked[i]!.pump(now)
    if (this.isClosedLoop && this.isPublishing) this.checkEnd(now)
  }

  /** A closed loop ends when everything is sent or its time is over. */
  private checkEnd(now: number): void {
    if (!this.hasBegun) return
    if (now < this.endUs) {
      if (this.settings.messages === 0) return
      for (const { client } of this.set.publishers) {
        if (client.remaining > 0 && client.isReady) return
      }
    }
    this.stop()
  }

  /** A message of a closed loop has arrived: its publisher may send the next. */
  private giveBack(stream: number, asker: Client | null): void {
    if (this.settings.kind === 'ping') {
      if (asker !== null) this.release(asker)
      return
    }
    const publisher = this.set.publisherOf[stream]
    if (publisher === undefined) return
    publisher.deliveries++
    if (publisher.deliveries < publisher.receivers) return
    publisher.deliveries = 0
    this.release(publisher.client)
  }

  /** A message without a header is of somebody who has messages under way. */
  private giveBackUnknown(streamFrom: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const stream = streamFrom + (this.nextUnknown++ % count)
      const client = this.set.publisherOf[stream]?.client
      if (client === undefined || client.windowLeft >= this.settings.window) continue
      this.giveBack(stream, null)
      return
    }
  }

  private release(client: Client): void {
    if (client.windowLeft < this.settings.window) client.windowLeft++
    if (client.isMarked || client.remaining === 0) return
    this.mark(client)
    this.flushSoon()
  }

  private readonly keepHouse = (): void => {
    const now = nowUs()
    const { timeoutMs, slowBytesPerSecond, connection } = this.settings
    for (const { client, plan } of this.set.members) {
      if (!client.isReady) continue
      if (plan.isSlow) client.readMore((slowBytesPerSecond * HOUSEKEEPING_MS) / 1e3)
      client.keepAlive(now, connection.keepAliveSeconds * 1e6)
      // Lost messages must not stop a closed loop for ever.
      const isLate = this.isClosedLoop && now - client.lastSendUs > timeoutMs * 1e3
      if (!isLate || client.quietSinceUs !== client.lastSendUs) client.quietLooks = 0
      client.quietSinceUs = client.lastSendUs
      if (isLate) client.quietLooks++
      const isQuiet = client.quietLooks >= QUIET_LOOKS
      if (isQuiet && this.isPublishing && client.isWindowFull) {
        client.abandon(`no acknowledgement within ${timeoutMs} ms`)
      } else if (isQuiet && client.windowLeft === 0 && client.remaining > 0) {
        client.windowLeft = this.settings.window
        this.credit(client)
      }
    }
    if (this.isPublishing && this.isClosedLoop) this.checkEnd(now)
  }

  private snapshot(into: Snapshot): void {
    into.atUs = nowUs()
    into.scheduled = this.scheduled
    into.sent = this.set.sentCount
    into.acked = this.acked
    into.received = this.received
  }

  private note(text: string): void {
    this.errors.set(text, (this.errors.get(text) ?? 0) + 1)
  }
}
