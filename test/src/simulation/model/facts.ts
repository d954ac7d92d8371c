// What happened at the border of the broker, as records that the rules look at. "Certain" is what
// nobody can deny: it was acknowledged. "Possible" is all that may have happened: a request whose
// answer was never written, or whose answer a crash has taken. Moments are numbers of events.

import type { ConnectPacket, QoS, SubscribePacket, UnsubscribePacket } from '@godwit/packet'
import { Coverage } from '../coverage.ts'

export const NEVER: number = Number.POSITIVE_INFINITY

/** A message that somebody has published, or that is somebody's will. */
export interface Publication {
  readonly key: string
  readonly publisher: string
  readonly topic: string
  readonly qos: QoS
  readonly retain: boolean
  readonly isEmpty: boolean
  readonly isWill: boolean
  /** Seconds; -1: it never expires. */
  readonly expirySeconds: number
  /** The properties that go with it, see dress.ts. */
  readonly dress: string
  readonly byteLength: number
  /** How often it has come. A will comes when it is published, and nobody sees it come. */
  arrivals: number
  firstAt: number
  firstMs: number
  lastAt: number
  lastMs: number
  /** The broker has said that it has it. */
  acknowledgedAt: number
  acknowledgedMs: number
  /** It came while the store may have been full, or was refused. */
  isRefused: boolean
  /** Its publisher may send it anew, since nobody told it that its session is gone. */
  mayRepeat: boolean
  /** Why it must not be published; '' when it may be. */
  forbidden: string
  /** Not before this time. Only of wills. */
  earliestMs: number
}

export interface SubscriptionRecord {
  readonly life: SessionLife
  readonly filter: string
  /** Without the share name. */
  readonly topicFilter: string
  /** null when it is not shared. */
  readonly group: string | null
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly identifier: number
  /** It may be handed what is retained; that is sure only if `mustHaveRetained`. */
  readonly wantsRetained: boolean
  readonly mustHaveRetained: boolean
  /** The granted QoS may be less. */
  granted: QoS
  readonly possibleFrom: number
  certainFrom: number
  certainUntil: number
  possibleUntil: number
}

/** A message of QoS 1 or 2 on its way to a client, by packet identifier. */
export interface UnderWay {
  readonly key: string
  readonly qos: QoS
  /** PUBREC has come. */
  isReleased: boolean
  /** The broker may have given it up: to the other members of a group, or by a crash. */
  isLoose: boolean
}

/** A session from its begin to its end. */
export interface SessionLife {
  readonly clientId: string
  readonly number: number
  readonly beganAt: number
  connection: ConnectionRecord | null
  /** False after a crash that may have ended it or not. */
  isCertain: boolean
  isOver: boolean
  /** When it was last not sure whether it is the same; -1: never. */
  unsureAt: number
  /** Seconds from the end of the connection; both the same unless a crash has made it unsure. */
  expirySecondsMin: number
  expirySecondsMax: number
  /** When the connection ended, at the earliest and at the latest. */
  leftMsMin: number
  leftMsMax: number
  readonly records: SubscriptionRecord[]
  /** Acknowledged to their publishers, and not yet by this session. */
  readonly owed: Map<string, Publication>
  /** Acknowledged by this session. */
  readonly done: Set<string>
  readonly underWay: Map<number, UnderWay>
  /** How often the client has taken each message. */
  readonly taken: Map<string, number>
  readonly written: Set<string>
  /** As CONNECT has set it. */
  connectExpirySeconds: number
  /** The will of the last connection, until it is published or given up. */
  will: WillRecord | null
  /** The newest message that was written, by publisher, topic and both QoS. */
  readonly newest: Map<string, Publication>
}

/** How a connection ended; a goodbye may leave the will behind. */
export type ConnectionEnd = 'goodbye' | 'goodbye with will' | 'takeover' | 'crash' | 'otherwise'

export interface WillRecord {
  readonly publication: Publication
  readonly connection: ConnectionRecord
  readonly delaySeconds: number
  /** null while its connection is there. */
  end: ConnectionEnd | null
  /** When it must not be published: the client said goodbye, and a crash may make it forget. */
  forbiddenMs: number
  /** It must have been published by then; NEVER when that is not sure. */
  dueMs: number
  /** The batch of the store that must have it, since it was due when that was open; 0: none yet. */
  batch: number
}

/** A network connection on which CONNECT has come. */
export interface ConnectionRecord {
  readonly link: number
  readonly connect: ConnectPacket
  /** When CONNECT came; the broker may have decided about it later. */
  readonly arrivedAt: number
  readonly connectAt: number
  readonly connectMs: number
  /** When the broker had last looked at the clock. */
  readonly tickMs: number
  readonly cameWhileFull: boolean
  /** It must not be let in. */
  readonly isStranger: boolean
  /** When CONNACK 0 was written; NEVER before. */
  openAt: number
  openMs: number
  isClosed: boolean
  /** The broker has said that it gets no session. */
  isRefused: boolean
  life: SessionLife | null
  /** QoS 0 may wait behind an answer that waits for the disk. */
  isHeldBack: boolean
  /** What it has asked for meanwhile, until CONNACK says of which session. */
  early: EarlyRequest[]
  /** What it has sent must end it with this reason code; 0: nothing. */
  fault: number
  /** The reason code of the DISCONNECT that it got; 0: none. */
  dismissedWith: number
  /** The broker says that it was silent for too long. */
  isSilenced: boolean
  /** The embedder has ended it. */
  isExpelled: boolean
  /** It has come with a wrong password, after CONNACK. */
  hasLied: boolean
  /** DISCONNECT has come. */
  farewell: { readonly reasonCode: number; readonly expirySeconds: number | null } | null
  readonly receiveMaximum: number
  readonly packetBytesMax: number
  /** Messages of QoS 1 and 2 that were written and not finished. */
  readonly window: Map<number, string>
  /** Packet identifiers that wait for an answer, in the order in which they came. */
  readonly puback: PendingAck[]
  readonly pubrec: PendingAck[]
  readonly pubcomp: number[]
  /** Packet identifiers whose PUBREC has come and whose PUBREL has not gone. */
  readonly pubrel: Set<number>
  will: WillRecord | null
  readonly incomingAliases: Map<number, string>
  readonly outgoingAliases: Map<number, string>
  readonly aliasMaximum: number
  readonly suback: Map<number, SubscriptionRecord[]>
  readonly unsuback: Map<number, Unsubscribed>
  /** PINGREQs that are not answered. */
  pings: number
  /** As CONNACK has agreed; 0: it may be silent. */
  keepAliveMs: number
  /** When bytes of it last came. */
  heardMs: number
  /** Messages of QoS 0 that this turn has to write. */
  readonly owed: Map<string, Publication>
  /** Retained messages that a new subscription has to get. */
  readonly retainedOwed: Map<string, Publication>
  /** When retained messages were handed out to it, by key. */
  readonly replayed: Map<string, number>
  /** The last retained or live message of a topic that is retained, by topic and QoS. */
  readonly newest: Map<string, Publication>
  /** Messages of QoS 0 and 1, how often. */
  readonly counts: Map<string, number>
}

/** What a client has asked for before it had its CONNACK. */
export interface EarlyRequest {
  readonly packet: SubscribePacket | UnsubscribePacket
  readonly at: number
}

/** What waits for UNSUBACK. */
export interface Unsubscribed {
  readonly at: number
  readonly filters: readonly string[]
  /** The reason code of each; null where it is not sure. */
  readonly codes: readonly (number | null)[]
}

export interface PendingAck {
  readonly packetId: number
  readonly publication: Publication
}

/** A message that one member of a shared group has to get. */
export interface GroupDebt {
  readonly group: string
  readonly publication: Publication
}

export class Facts {
  readonly coverage: Coverage = new Coverage()
  /** The number of the event that is happening. */
  at = 0
  nowMs = 0
  /** When the last turn of the broker was over. */
  turnAt = 0
  /** When the broker last looked at the clock. */
  tickMs = 0
  crashes = 0
  lastCrashAt = -1
  lastCrashMs: number = Number.NEGATIVE_INFINITY
  /** Until then the process stood still, the last time. */
  stalledUntilMs: number = Number.NEGATIVE_INFINITY
  /** The wall clock has jumped at this time. */
  lastJumpMs: number = Number.NEGATIVE_INFINITY
  readonly publications: Map<string, Publication> = new Map()
  /** Per topic, in the order in which they first came. */
  readonly retained: Map<string, Publication[]> = new Map()
  readonly lives: Map<string, SessionLife> = new Map()
  readonly allLives: SessionLife[] = []
  readonly connections: Map<number, ConnectionRecord> = new Map()
  /** CONNECT has come and CONNACK has not gone, oldest first, by client. */
  readonly connecting: Map<string, ConnectionRecord[]> = new Map()
  /** Who has the session, with CONNACK written or not, by client. */
  readonly attached: Map<string, ConnectionRecord> = new Map()
  /** Clients whose last CONNECT was never answered: they may have a session. */
  readonly ghosts: Set<string> = new Set()
  /** What these have asked for, by client. */
  readonly ghostRequests: Map<string, EarlyRequest[]> = new Map()
  /** When the last CONNECT that may get the session came, by client. */
  readonly welcomeAt: Map<string, number> = new Map()
  readonly wills: WillRecord[] = []
  readonly groupsOwed: GroupDebt[] = []
  /** Limits are so small that retained messages may be refused or lost. */
  retainedMayBeLost = false
  /** A guard is asked about subscriptions, and may think about them. */
  subscribesLate = false
  /** The longest that somebody may think about a message before it counts. */
  thinkingMs = 0
  /** A guard is asked about wills, and may think about them. */
  willsLate = false
  /** The store takes nothing more. */
  isFull = false
  /** It has room again since then. */
  roomMs: number = Number.NEGATIVE_INFINITY
  /** Nobody thinks for long, and nobody waits until others have read. */
  readsSoon = false
  /** Messages of QoS 0 that were not written, by client and topic. */
  readonly missing: Map<string, Publication[]> = new Map()

  /** Told when a message is owed, from now on, to a session that lasts. */
  promised: () => void = () => undefined

  remember(publication: Publication): void {
    this.publications.set(publication.key, publication)
    if (!publication.retain) return
    const list = this.retained.get(publication.topic)
    if (list === undefined) this.retained.set(publication.topic, [publication])
    else list.push(publication)
  }

  miss(clientId: string, publication: Publication): void {
    const key = `${clientId}\0${publication.topic}`
    const list = this.missing.get(key)
    if (list === undefined) this.missing.set(key, [publication])
    else list.push(publication)
  }

  endLife(life: SessionLife): void {
    life.isOver = true
    life.connection = null
    life.owed.clear()
    for (const record of life.records) {
      record.certainUntil = Math.min(record.certainUntil, this.at)
      record.possibleUntil = Math.min(record.possibleUntil, this.at)
    }
    if (this.lives.get(life.clientId) === life) this.lives.delete(life.clientId)
  }

  /** All subscriptions there ever were, of lives that may still be there. */
  *recordsOf(life: SessionLife): Iterable<SubscriptionRecord> {
    for (const record of life.records) if (record.possibleUntil > record.possibleFrom) yield record
  }
}
