// What a ledger says, put together: messages, subscriptions with the time in which they held,
// connections, sessions. The judgement on it is in checker.ts.

import { parseSharedFilter } from '@godwit/packet'
import type { ConnackEntry, ConnectEntry, Entry, GotEntry, TryEntry } from './ledger.ts'

export const FAR: number = Number.POSITIVE_INFINITY
/** No acknowledgement has come. */
export const NONE = -1
/** Before the first line. */
export const BEFORE = -1

/** Clocks, a busy machine and the broker's ticks may differ by so much. */
export const TOLERANCE_MS = 3000
/** Expiry that is longer does not happen within a round. */
export const SHORT_SECONDS = 60

export interface Message {
  readonly id: string
  readonly publisher: string
  readonly topic: string
  readonly qos: number
  readonly retain: boolean
  readonly clears: boolean
  readonly expirySeconds: number
  readonly isWill: boolean
  /** The line of the first attempt. */
  readonly tryAt: number
  readonly tryMs: number
  /** The line and time of the last one. */
  lastTryAt: number
  lastTryMs: number
  tries: number
  /** The line of the acknowledgement; of a will: that of the end of its connection. */
  ackAt: number
  refused: boolean
}

/** A subscription and the lines between which it held. */
export interface Interval {
  readonly client: string
  readonly filter: string
  /** '' when it is not shared. */
  readonly group: string
  readonly qos: number
  readonly persistent: boolean
  /** SUBSCRIBE was sent; SUBACK has come. */
  readonly from: number
  sure: number
  /** UNSUBSCRIBE was sent; UNSUBACK has come. */
  endTry: number
  end: number
  /** A clean start was asked for: what waited may be gone. */
  waived: boolean
  /** A clean start was confirmed: nothing may come any more. */
  cleared: boolean
}

export interface Connection {
  readonly number: number
  readonly at: number
  /** The line of CONNACK: until then messages may have gone to the connection before. */
  readyAt: number
  closedAt: number
  /** DISCONNECT was sent. */
  graceful: boolean
}

export interface Session {
  kind: 'yes' | 'no' | 'maybe'
  expirySeconds: number
  connection: number
  /** When the connection was seen to end, 0 while connected; and when it may have at the latest. */
  closedMs: number
  latestMs: number
}

export interface Got {
  readonly at: number
  readonly entry: GotEntry & { readonly ms: number }
  /** The subscription by which it came, as far as there is one. */
  by: Interval | null
}

export interface Audit {
  readonly from: number
  to: number
  readonly fromMs: number
  toMs: number
  readonly values: Map<string, string>
}

/** A message of the round before. */
export interface Earlier {
  readonly topic: string
  readonly qos: number
  readonly isWill: boolean
  readonly gotBy: ReadonlySet<string>
}

/** What the next round begins with. */
export interface Carry {
  readonly sessions: ReadonlyMap<string, Session>
  readonly intervals: readonly Interval[]
  readonly connections: ReadonlyMap<string, Connection>
  readonly earlier: ReadonlyMap<string, Earlier>
  /** Null: the topic has had a retained message and has none now. */
  readonly retained: ReadonlyMap<string, Message | null>
}

export const NOTHING_BEFORE: Carry = {
  sessions: new Map(),
  intervals: [],
  connections: new Map(),
  earlier: new Map(),
  retained: new Map(),
}

export class Model {
  readonly messages: Map<string, Message> = new Map()
  readonly intervals: Interval[]
  readonly connections: Map<string, Connection[]> = new Map()
  readonly sessions: Map<string, Session>
  readonly gots: Got[] = []
  readonly audits: Audit[] = []
  readonly crashes: number[] = []
  /** What is wrong by itself. */
  readonly violations: string[] = []
  private readonly connecting = new Map<string, ConnectEntry & { readonly ms: number }>()
  private readonly wills = new Map<string, Message>()

  constructor(entries: readonly Entry[], carry: Carry) {
    this.intervals = carry.intervals.map(one => ({ ...one }))
    this.sessions = new Map([...carry.sessions].map(([client, one]) => [client, { ...one }]))
    for (const [client, one] of carry.connections) this.connections.set(client, [{ ...one }])
    for (const [at, entry] of entries.entries()) this.take(at, entry)
  }

  private take(at: number, entry: Entry): void {
    switch (entry.op) {
      case 'connect':
        this.connect(at, entry)
        break
      case 'connack':
        this.connack(at, entry)
        break
      case 'disconnect':
        this.disconnect(entry.client)
        break
      case 'closed':
        this.closed(at, entry.client, entry.connection, entry.ms)
        break
      case 'try':
        this.attempt(at, entry)
        break
      case 'ack':
        this.acknowledge(at, entry.id, entry.code)
        break
      case 'got':
        this.gots.push({ at, entry, by: null })
        break
      case 'repeat':
        if (entry.id !== entry.firstId) {
          this.say('dup', `${entry.id} for ${entry.client} has the identifier of ${entry.firstId}`)
        } else if (!entry.dup) this.say('dup', `${entry.id} came again without DUP`)
        break
      case 'odd':
        this.say('odd', entry.text)
        break
      default:
        this.takeRest(at, entry)
    }
  }

  private takeRest(at: number, entry: Entry): void {
    switch (entry.op) {
      case 'subscribe':
        this.subscribe(at, entry.client, entry.filter, entry.qos)
        break
      case 'suback':
        this.suback(at, entry.client, entry.filter, entry.code)
        break
      case 'unsubscribe':
        for (const one of this.open(entry.client, entry.filter)) {
          one.endTry = Math.min(one.endTry, at)
        }
        break
      case 'unsuback':
        for (const one of this.open(entry.client, entry.filter)) one.end = at
        break
      case 'crash':
        this.crashes.push(at)
        break
      case 'up':
        // Who was connected when it died begins to expire now.
        for (const session of this.sessions.values()) {
          if (session.closedMs !== 0) session.latestMs = entry.ms
        }
        break
      case 'audit': {
        const { ms } = entry
        this.audits.push({ from: at, to: at, fromMs: ms, toMs: ms, values: new Map() })
        break
      }
      case 'audited':
      case 'kept':
        this.audited(at, entry)
        break
      default:
    }
  }

  private say(kind: string, text: string): void {
    this.violations.push(`${kind}: ${text}`)
  }

  private connect(at: number, entry: ConnectEntry & { ms: number }): void {
    const { client, connection, clean, will } = entry
    const all = this.connections.get(client) ?? []
    all.push({ number: connection, at, readyAt: FAR, closedAt: FAR, graceful: false })
    this.connections.set(client, all)
    this.connecting.set(client, entry)
    if (clean) {
      for (const one of this.of(client)) {
        if (one.end !== FAR) continue
        one.endTry = Math.min(one.endTry, at)
        one.waived = true
      }
    }
    if (will === null) return
    const { ms } = entry
    const message = {
      ...{ id: will.id, publisher: client, topic: will.topic, qos: will.qos, retain: false },
      ...{ clears: false, expirySeconds: -1, isWill: true, refused: false },
      ...{ tryAt: at, tryMs: ms, lastTryAt: at, lastTryMs: ms, tries: 1, ackAt: NONE },
    }
    this.messages.set(will.id, message)
  }

  private connack(at: number, entry: ConnackEntry & { ms: number }): void {
    const { client, connection, present, code } = entry
    const request = this.connecting.get(client)
    if (request === undefined || request.connection !== connection) return
    const session = this.sessions.get(client)
    const { expirySeconds, clean, will } = request
    if (code !== 0) {
      if (session !== undefined && clean) session.kind = 'maybe'
      return
    }
    this.checkPresent(client, session, request, entry)
    const latest = this.connections.get(client)?.at(-1)
    if (latest !== undefined) latest.readyAt = at
    this.sessions.set(client, {
      ...{ kind: 'yes', expirySeconds, connection, closedMs: 0, latestMs: 0 },
    })
    const message = will === null ? undefined : this.messages.get(will.id)
    if (message !== undefined && expirySeconds > 0) this.wills.set(client, message)
    if (!clean && present) return
    const asked = latest?.at ?? at
    for (const one of this.of(client)) {
      if (one.end !== FAR || one.from > asked) continue
      one.end = at
      one.endTry = Math.min(one.endTry, at)
      one.cleared = true
      // A session that is gone without being asked for is a violation already.
      one.waived = true
    }
  }

  private checkPresent(
    client: string,
    session: Session | undefined,
    asked: ConnectEntry & { ms: number },
    { present, ms }: ConnackEntry & { ms: number },
  ): void {
    if (asked.clean) {
      if (present) this.say('session', `${client} is told of a session after a clean start`)
      return
    }
    const wanted = expectedSession(session, asked.ms, ms)
    if (wanted === 'yes' && !present) this.say('session', `that of ${client} is lost`)
    if (wanted === 'no' && present) this.say('session', `that of ${client} should be gone`)
  }

  private disconnect(client: string): void {
    const last = this.connections.get(client)?.at(-1)
    if (last !== undefined) last.graceful = true
    // Whether the broker has it is not known: the will may come, it is not owed.
    this.wills.delete(client)
  }

  private closed(at: number, client: string, number: number, ms: number): void {
    const connection = this.connections.get(client)?.find(one => one.number === number)
    if (connection !== undefined) connection.closedAt = at
    const session = this.sessions.get(client)
    const asked = this.connecting.get(client)
    if (asked?.connection !== number) return
    if (session?.connection !== number) {
      // No CONNACK came: the broker may have taken CONNECT or not.
      if (session === undefined || session.kind === 'no' || asked.clean) {
        const { expirySeconds } = asked
        const kind = 'maybe'
        this.sessions.set(client, {
          ...{ kind, expirySeconds, connection: number, closedMs: ms, latestMs: ms },
        })
      } else session.latestMs = ms
      return
    }
    session.closedMs = ms
    session.latestMs = ms
    if (session.expirySeconds === 0) session.kind = 'no'
    const will = this.wills.get(client)
    this.wills.delete(client)
    if (will !== undefined) will.ackAt = at
  }

  private subscribe(at: number, client: string, name: string, qos: number): void {
    const shared = parseSharedFilter(name)
    const filter = shared?.filter ?? name
    const group = shared === null ? '' : name
    const persistent = (this.sessions.get(client)?.expirySeconds ?? 0) > 0
    this.intervals.push({
      ...{ client, filter, group, qos, persistent, from: at, sure: FAR, endTry: FAR, end: FAR },
      ...{ waived: false, cleared: false },
    })
  }

  private suback(at: number, client: string, name: string, code: number): void {
    const open = this.open(client, name).filter(one => one.sure === FAR)
    for (const one of open) {
      if (code < 0x80) one.sure = at
      else one.end = at
    }
  }

  /** Subscriptions that may hold now. */
  private open(client: string, name: string): Interval[] {
    const filter = parseSharedFilter(name)?.filter ?? name
    return this.of(client).filter(one => one.filter === filter && one.end === FAR)
  }

  private of(client: string): Interval[] {
    return this.intervals.filter(one => one.client === client)
  }

  private attempt(at: number, entry: TryEntry & { ms: number }): void {
    const known = this.messages.get(entry.id)
    if (known !== undefined) {
      known.tries++
      known.lastTryAt = at
      known.lastTryMs = entry.ms
      return
    }
    const { id, client, topic, qos, retain, clears, expirySeconds, ms } = entry
    this.messages.set(id, {
      ...{ id, publisher: client, topic, qos, retain, clears, expirySeconds, isWill: false },
      ...{ refused: false, tryAt: at, tryMs: ms, lastTryAt: at, lastTryMs: ms },
      ...{ tries: 1, ackAt: NONE },
    })
  }

  private acknowledge(at: number, id: string, code: number): void {
    const message = this.messages.get(id)
    if (message === undefined) this.say('odd', `${id} is acknowledged, nobody sent it`)
    else if (code >= 0x80) message.refused = true
    else message.ackAt = at
  }

  private audited(at: number, entry: Entry): void {
    const audit = this.audits.at(-1)
    if (audit === undefined) return
    audit.to = at
    audit.toMs = entry.ms
    if (entry.op !== 'kept') return
    if (audit.values.has(entry.topic)) this.say('retained', `${entry.topic} came twice`)
    audit.values.set(entry.topic, entry.id)
  }
}

/** Whether a client that connects has a session. */
function expectedSession(
  session: Session | undefined,
  askedMs: number,
  answeredMs: number,
): 'yes' | 'no' | 'maybe' {
  if (session === undefined) return 'no'
  if (session.kind !== 'yes' || session.closedMs === 0) return session.kind
  if (session.expirySeconds > SHORT_SECONDS) return 'yes'
  const expiryMs = session.expirySeconds * 1000
  if (askedMs > session.latestMs + expiryMs + TOLERANCE_MS) return 'no'
  return answeredMs < session.closedMs + expiryMs - TOLERANCE_MS ? 'yes' : 'maybe'
}
