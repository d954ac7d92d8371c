// The judgement on a round: whether what the broker acknowledged was kept, and nothing but what
// may come has come. Each violation is a line that begins with its kind.

import { topicMatches } from '@godwit/packet'
import type { Entry } from './ledger.ts'
import {
  type Audit,
  BEFORE,
  type Carry,
  type Connection,
  type Earlier,
  FAR,
  type Got,
  type Interval,
  type Message,
  Model,
  NONE,
  NOTHING_BEFORE,
  SHORT_SECONDS,
  TOLERANCE_MS,
} from './model.ts'

/** A member of a group may go at any time; each time a message may be given to another one. */
const GROUP_REPEATS = 10

export interface Verdict {
  readonly violations: readonly string[]
  readonly carry: Carry
  /** How much was judged: a verdict on nothing is none. */
  readonly owed: number
  readonly acknowledged: number
  readonly received: number
  /** Deliveries at QoS 1 that came more than once. */
  readonly repeated: number
}

/** @param carry what the verdict on the round before gave */
export function check(entries: readonly Entry[], carry: Carry = NOTHING_BEFORE): Verdict {
  return new Checker(entries, carry).judge()
}

class Checker {
  private readonly model: Model
  private readonly carry: Carry
  private readonly violations: string[]
  /** What came, by message and then by receiver. */
  private readonly received = new Map<string, Map<string, Got[]>>()
  private owed = 0
  private repeated = 0

  constructor(entries: readonly Entry[], carry: Carry) {
    this.model = new Model(entries, carry)
    this.carry = carry
    this.violations = [...this.model.violations]
  }

  judge(): Verdict {
    for (const got of this.model.gots) this.judgeGot(got)
    this.judgeRepetitions()
    this.judgeOrder()
    this.judgeLosses()
    const retained = this.judgeRetained()
    const messages = [...this.model.messages.values()]
    return {
      violations: this.violations,
      carry: this.makeCarry(retained),
      owed: this.owed,
      acknowledged: messages.filter(({ ackAt }) => ackAt !== NONE).length,
      received: this.model.gots.length,
      repeated: this.repeated,
    }
  }

  private say(kind: string, text: string): void {
    this.violations.push(`${kind}: ${text}`)
  }

  /** Whether this may come to this client at this time, as it came. */
  private judgeGot(got: Got): void {
    const { client, id, topic, qos, retain, dup, connection } = got.entry
    const message = this.model.messages.get(id)
    if (message === undefined) {
      const earlier = this.carry.earlier.get(id)
      if (earlier === undefined) this.say('invented', `"${id}" on ${topic} for ${client}`)
      else this.judgeEarlier(got, earlier)
      return
    }
    if (message.topic !== topic)
      this.say('invented', `${id} was for ${message.topic}, not ${topic}`)
    if (message.refused) this.say('refused', `${id} was refused and came to ${client}`)
    if (message.tryAt > got.at) this.say('invented', `${id} came to ${client} before it was sent`)
    if (retain) this.say('retain', `${id} came to ${client} as if it had been retained`)
    const interval = this.intervalOf(message, got)
    if (interval === undefined) {
      this.say('unasked', `${id} on ${topic} came to ${client}, which has no subscription to it`)
      return
    }
    got.by = interval
    const wanted = Math.min(message.qos, interval.qos)
    if (qos !== wanted) this.say('qos', `${id} came to ${client} at QoS ${qos}, not ${wanted}`)
    // Delivery that had begun may be completed. MQTT 5.0 section 3.3.2.3.3.
    if (message.expirySeconds >= 0 && !dup) {
      const endMs = message.lastTryMs + message.expirySeconds * 1000 + TOLERANCE_MS
      if (got.entry.ms > endMs) this.say('expired', `${id} came to ${client} after its expiry`)
    }
    if (dup && !this.mayBeRepeated(message, client, connection)) {
      this.say('dup', `${id} came to ${client} with DUP, it cannot have been sent before`)
    }
    const receiver = interval.group === '' ? client : interval.group
    const byReceiver = this.received.get(id) ?? new Map<string, Got[]>()
    this.received.set(id, byReceiver)
    byReceiver.set(receiver, [...(byReceiver.get(receiver) ?? []), got])
  }

  /** A message of the round before, in which everything was received and acknowledged. */
  private judgeEarlier(got: Got, earlier: Earlier): void {
    const { client, id, qos, dup } = got.entry
    if (!earlier.gotBy.has(client)) {
      // A will may fire late; all else had its time.
      if (!earlier.isWill) this.say('late', `${id} came to ${client} a round too late`)
    } else if (qos === 2) this.say('twice', `${id} came to ${client} again, a round later`)
    else if (!dup) this.say('twice', `${id} came to ${client} again without DUP, a round later`)
  }

  private intervalOf(message: Message, got: Got): Interval | undefined {
    return this.model.intervals.find(
      one =>
        one.client === got.entry.client &&
        topicMatches(one.filter, message.topic) &&
        one.from < got.at &&
        message.tryAt < one.end &&
        (message.ackAt === NONE || message.isWill || message.ackAt > one.from) &&
        !(one.cleared && got.at > one.end),
    )
  }

  /** DUP says that the broker has tried before: on an earlier connection of this session. */
  private mayBeRepeated(message: Message, client: string, number: number): boolean {
    const all = this.model.connections.get(client) ?? []
    const index = all.findIndex(one => one.number === number)
    const [present, before] = [all[index], all[index - 1]]
    if (present === undefined || message.tryAt > present.readyAt) return false
    return before !== undefined && !(before.graceful && before.closedAt < message.tryAt)
  }

  private judgeRepetitions(): void {
    for (const [id, byReceiver] of this.received) {
      const message = this.model.messages.get(id)
      if (message === undefined) continue
      for (const [receiver, gots] of byReceiver) this.judgeCount(message, receiver, gots)
    }
  }

  private judgeCount(message: Message, receiver: string, gots: readonly Got[]): void {
    const last = gots.at(-1)
    if (last === undefined || gots.length === 1) return
    const { id, tries, tryAt } = message
    const times = `${id} came to ${receiver} ${gots.length} times`
    if (last.entry.qos === 2) this.say('twice', `${times} at QoS 2`)
    if (last.entry.qos === 0 && gots.length > tries) this.say('twice', `${times} at QoS 0`)
    if (last.entry.qos !== 1) return
    this.repeated += gots.length - 1
    // Each attempt may be a new message; a crash may take away what was known of their sending.
    const crashes = this.model.crashes.filter(at => at > tryAt && at < last.at).length
    const most = tries * (1 + crashes) + (receiver.startsWith('$share/') ? GROUP_REPEATS : 0)
    const fresh = gots.filter(one => !one.entry.dup).length
    if (fresh > most) this.say('dup', `${times}, ${fresh} of them without DUP, at most ${most}`)
  }

  /** First arrivals of one publisher, topic and QoS come as they were published. */
  private judgeOrder(): void {
    const last = new Map<string, Message>()
    const seen = new Set<string>()
    for (const { entry, by } of this.model.gots) {
      const message = this.model.messages.get(entry.id)
      const { client, id, qos } = entry
      if (message === undefined || message.isWill || seen.has(`${client} ${id}`)) continue
      seen.add(`${client} ${id}`)
      if (by === null || by.group !== '' || cameLate(message, by)) continue
      // It had a packet identifier when the broker died, and may have been sent.
      if (entry.dup && message.expirySeconds >= 0) continue
      const key = `${client} ${message.publisher} ${message.topic} ${message.qos} ${qos}`
      const before = last.get(key)
      if (before !== undefined && before.tryAt > message.tryAt) {
        this.say('order', `${id} came to ${client} after ${before.id}, which is younger`)
      } else last.set(key, message)
    }
  }

  /** Everything that was acknowledged has come to everybody whose subscription was confirmed. */
  private judgeLosses(): void {
    for (const message of this.model.messages.values()) {
      if (message.ackAt === NONE || message.refused) continue
      if (message.expirySeconds >= 0 && message.expirySeconds < SHORT_SECONDS) continue
      const receivers = new Set<string>()
      for (const one of this.model.intervals) {
        if (!owes(message, one)) continue
        receivers.add(one.group === '' ? one.client : one.group)
      }
      this.owed += receivers.size
      for (const receiver of receivers) {
        if (this.received.get(message.id)?.has(receiver)) continue
        const what = message.isWill ? 'the will' : `QoS ${message.qos}`
        this.say('lost', `${message.id} (${what}) on ${message.topic} for ${receiver}`)
      }
    }
  }

  /** @returns what is retained at the end */
  private judgeRetained(): Map<string, Message | null> {
    const writes = new Map<string, Message[]>()
    for (const message of this.model.messages.values()) {
      if (!message.retain || message.refused) continue
      writes.set(message.topic, [...(writes.get(message.topic) ?? []), message])
    }
    const topics = new Set([...writes.keys(), ...this.carry.retained.keys()])
    const end = new Map<string, Message | null>()
    for (const [index, audit] of this.model.audits.entries()) {
      for (const topic of audit.values.keys()) {
        if (!topics.has(topic)) this.say('invented', `retained on ${topic}, where nobody wrote`)
      }
      for (const topic of topics) {
        const value = this.judgeTopic(topic, writes.get(topic) ?? [], audit)
        if (index === this.model.audits.length - 1) end.set(topic, value)
      }
    }
    return end
  }

  /** The last acknowledged value or a later one. @returns the message that is there */
  private judgeTopic(topic: string, writes: readonly Message[], audit: Audit): Message | null {
    const tried = writes.filter(one => one.tryAt < audit.to)
    const sure = tried.filter(one => one.ackAt !== NONE && one.ackAt < audit.from)
    const possible: (Message | null)[] = tried.filter(
      one => !sure.some(other => isReplaced(one, other)),
    )
    if (sure.length === 0) possible.push(this.carry.retained.get(topic) ?? null)
    const id = audit.values.get(topic)
    if (id === undefined) {
      const mayBeAbsent = possible.some(
        one => one === null || one.clears || mayBeExpired(one, audit.toMs),
      )
      const names = possible.map(one => one?.id).join(' or ')
      if (!mayBeAbsent) this.say('retained', `nothing on ${topic}, where ${names} should be`)
      return null
    }
    const found = possible.find(one => one?.id === id && !one.clears)
    if (found === undefined || found === null) {
      const names = possible.map(one => one?.id ?? 'nothing').join(' or ')
      this.say('retained', `${id} on ${topic}, where ${names} should be`)
      return null
    }
    if (isExpired(found, audit.fromMs)) this.say('expired', `${id} is retained after its expiry`)
    return found
  }

  private makeCarry(retained: Map<string, Message | null>): Carry {
    const earlier = new Map<string, Earlier>()
    for (const { id, topic, qos, isWill } of this.model.messages.values()) {
      const gotBy = new Set<string>()
      for (const gots of this.received.get(id)?.values() ?? []) {
        for (const { entry } of gots) gotBy.add(entry.client)
      }
      if (qos > 0) earlier.set(id, { topic, qos, isWill, gotBy })
    }
    const connections = new Map<string, Connection>()
    for (const [client, all] of this.model.connections) {
      const last = all.at(-1)
      if (last === undefined) continue
      const closedAt = last.closedAt === FAR ? FAR : BEFORE
      connections.set(client, { ...last, at: BEFORE, readyAt: BEFORE, closedAt })
    }
    const intervals = this.model.intervals
      .filter(one => one.end === FAR)
      .map(one => ({ ...one, from: BEFORE, sure: one.sure === FAR ? FAR : BEFORE }))
    return { sessions: this.model.sessions, intervals, connections, earlier, retained }
  }
}

function owes(message: Message, interval: Interval): boolean {
  return (
    interval.sure < message.tryAt &&
    message.ackAt < interval.endTry &&
    interval.persistent &&
    !interval.waived &&
    Math.min(message.qos, interval.qos) > 0 &&
    topicMatches(interval.filter, message.topic)
  )
}

/**
 * It was published before the subscription held, or into a session that did not last, or has
 * expired there, and then once more: for this subscriber it is a young message.
 */
function cameLate({ tries, tryAt, expirySeconds }: Message, by: Interval): boolean {
  return tries > 1 && (!by.persistent || by.sure > tryAt || expirySeconds >= 0)
}

/**
 * Whether the acknowledged `other` came after all attempts of `one`. At QoS 1 each attempt counts,
 * at QoS 2 only the first that arrived.
 */
function isReplaced(one: Message, other: Message): boolean {
  return (other.qos === 2 ? other.tryAt : other.lastTryAt) > one.lastTryAt
}

function mayBeExpired({ expirySeconds, tryMs }: Message, nowMs: number): boolean {
  return expirySeconds >= 0 && nowMs > tryMs + expirySeconds * 1000 - TOLERANCE_MS
}

function isExpired({ expirySeconds, lastTryMs }: Message, nowMs: number): boolean {
  return expirySeconds >= 0 && nowMs > lastTryMs + expirySeconds * 1000 + TOLERANCE_MS
}
