// All that the core may ask of the world; each port has a production and a simulated version.
// Calls are synchronous, quick, and do not throw; what takes time answers later through the broker.

import type { Properties, QoS, Will } from '@godwit/packet'
import type { FlappingClient } from './flapping.ts'

/** Monotonic time for durations, wall time only for what is stored. Both in milliseconds. */
export interface Clock {
  monotonicMs(): number
  wallMs(): number
}

export interface Random {
  /** A number from 0 to `limit - 1`. */
  below(limit: number): number
  /** Text of `length` characters 0-9a-zA-Z that nobody can guess. */
  text(length: number): string
}

/** The end of the turn: the world calls `broker.endTurn()` once after this, soon, never within. */
export interface Turn {
  request(): void
}

/** Where a connection comes from. */
export interface Origin {
  /** 'unknown': a will of before a restart, of whose client the id and the user name are kept. */
  readonly transport: 'tcp' | 'tls' | 'ws' | 'wss' | 'unix' | 'memory' | 'unknown'
  readonly remoteAddress: string
  readonly remotePort: number
  /** The name of the listener, as configured. */
  readonly listener: string
  /** Names of a verified client certificate, else null. */
  readonly certificate: {
    readonly commonName: string
    readonly names: readonly string[]
    /** The whole subject, `CN=device,O=Example`; empty when a proxy tells only the name. */
    readonly subject: string
  } | null
}

/** One network connection as the core sees it. */
export interface Wire {
  /** May cost a question to the system when it is first looked at. */
  readonly origin: Origin
  /** True: when nothing is pending after `write`, nobody looks at the pieces any more. */
  readonly copies?: boolean
  /** The pieces belong to the wire from now on, the array does not. */
  write(pieces: readonly Uint8Array[]): void
  /** Bytes that `write` took and the network has not. */
  pendingBytes(): number
  /** Ends the connection after what was written has gone, or at a time limit of the wire's own. */
  end(): void
  /** Ends it at once. */
  destroy(): void
  pauseReading(): void
  resumeReading(): void
  /** The peer may be silent for long: the system shall find out when it has vanished. */
  watchPeer?(): void
}

/** What a client said in CONNECT, as far as it concerns who it is. */
export interface ConnectRequest {
  readonly ticket: number
  readonly origin: Origin
  readonly clientId: string
  readonly protocolLevel: 3 | 4 | 5
  readonly cleanStart: boolean
  readonly username: string | null
  readonly password: Uint8Array | null
  readonly will: Will | null
  readonly properties: Properties
}

/** Who a connection is, for permissions. */
export interface Identity {
  readonly clientId: string
  readonly username: string | null
  readonly origin: Origin
}

/** The answer to a CONNECT or an AUTH. */
export interface AuthenticationVerdict {
  /** 0 lets the client in, 0x18 goes on with AUTH, 0x80 and above refuse. Section 3.2.2.2. */
  readonly reasonCode: number
  readonly reasonString?: string
  readonly serverReference?: string
  /** For AUTH 0x18 and for CONNACK or AUTH 0x00 of an enhanced authentication. */
  readonly authenticationData?: Uint8Array
  /** The user name that permissions are asked with; absent: the one of CONNECT. */
  readonly username?: string
}

/** Instead of a reason code: the answer comes later, by `broker.decided`. */
export const LATER = -1

/** Instead of a reason code: acknowledge the message and deliver it to nobody. */
export const DISCARD = -2

/** A message on its way in, for a publish hook; all views live until the call returns. */
export interface PublishRequest {
  readonly ticket: number
  readonly identity: Identity
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

/** What a publish hook made of a message. */
export interface PublishReplacement {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

/** Whether somebody may do something. What takes time returns LATER (or null), decides later. */
export interface Guard {
  /** False: everybody may come in, `authenticate` need not be asked. */
  readonly authenticates: boolean
  /** False: everybody may subscribe to everything, `maySubscribe` need not be asked. */
  readonly checksSubscriptions: boolean
  /** False: `mayPublish` and `mayReceive` allow everything and need not be asked. */
  readonly checksPermissions: boolean
  /** Grows whenever a permission may have changed: answers before are forgotten. */
  readonly generation: number
  /** False: there is no publish hook. */
  readonly inspectsMessages: boolean
  /** The methods of enhanced authentication that it knows, in CONNECT's words. */
  readonly authenticationMethods: readonly string[]
  /** @returns null when `broker.decided(request.ticket, verdict)` will tell */
  authenticate(request: ConnectRequest): AuthenticationVerdict | null
  /** The client's answer to AUTH 0x18, or the begin (0x19) of a re-authentication. */
  proceed(
    ticket: number,
    identity: Identity,
    method: string,
    data: Uint8Array | null,
    again: boolean,
  ): AuthenticationVerdict | null
  /** The connection of this ticket has gone: forget what was begun. */
  abandon(ticket: number): void
  /** @returns 0, a reason code of 0x80 and above, or LATER */
  mayPublish(identity: Identity, topic: string, qos: QoS, retain: boolean, ticket: number): number
  /** Asked once per filter. @returns 0, a reason code of 0x80 and above, or LATER */
  maySubscribe(identity: Identity, filter: string, qos: QoS, ticket: number): number
  /** Asked per message and receiver when `checksPermissions`; may not take time. */
  mayReceive(identity: Identity, topic: string): boolean
  /** The publish hook. @returns 0, a reason code, DISCARD, LATER, or a replacement */
  inspect(request: PublishRequest): number | PublishReplacement
  /** A replacement cannot be published: its topic or properties are not valid. */
  unusable(error: Error): void
}

/** A session as it is kept. */
export interface StoredSession {
  readonly id: number
  readonly clientId: string
  readonly protocolLevel: 3 | 4 | 5
  /** 0xffffffff is never. MQTT 5.0 section 3.1.2.11.2. */
  readonly sessionExpirySeconds: number
  /** Wall time when the connection ended; 0 while connected. */
  readonly disconnectedAtMs: number
}

export interface StoredSubscription {
  readonly sessionId: number
  readonly filter: string
  /** QoS in bits 0-1, no local bit 2, retain as published bit 3, retain handling bits 4-5. */
  readonly options: number
  /** 0: none. */
  readonly identifier: number
}

/** An application message as it is kept: a PUBLISH frame without alias and expiry. */
export interface StoredMessage {
  /** Given by the core, growing, never reused. */
  readonly id: number
  /** MQTT 5.0 frame (level 5) or 3.1.1 frame (level 4), normalised. */
  readonly frame: Uint8Array
  /** Where it lies, for who would copy it and needs no view: `bytes[start, end)`. */
  readonly bytes?: Uint8Array
  readonly start?: number
  readonly end?: number
  readonly protocolLevel: 4 | 5
  /** Wall time; 0 is never. */
  readonly expiresAtMs: number
  /** Client id of the publisher, for No Local. */
  readonly publisher: string
}

/** One message in the queue of a session or of a shared group. */
export interface StoredDelivery {
  /** Of the message's frame. */
  readonly byteLength: number
  /** Session id, or group id for a group's queue. */
  readonly ownerId: number
  /** Growing within the owner. */
  readonly sequence: number
  readonly messageId: number
  /** QoS in bits 0-1, retain bit 2. */
  readonly flags: number
  readonly identifiers: readonly number[] | null
}

/** State of a QoS 1 or 2 message towards a subscriber. */
export const InflightState = {
  NONE: 0,
  QOS_1_SENT: 1,
  QOS_2_SENT: 2,
  RELEASED: 3,
} as const

/** Whose will it is, as a guard has to know. */
export interface StoredUser {
  /** Null: its client had none. */
  readonly username: string | null
}

export interface StoredWill {
  readonly sessionId: number
  readonly message: StoredMessage
  readonly delaySeconds: number
  /** Message expiry interval, counted from the publication; -1 is none. */
  readonly expirySeconds: number
  /** Wall time at which it is published; 0 while connected. */
  readonly fireAtMs: number
  /** Null: it was kept before user names were, and nobody can be asked about it. */
  readonly user: StoredUser | null
}

/**
 * Takes what was kept, at start, in this order. Queues of sessions, what is in flight, and wills
 * stay in the store until they are fetched. Nobody is connected then: sessions that were, in an
 * earlier process, have been disconnected when the store was opened.
 */
export interface StoreReader {
  session(session: StoredSession): void
  subscription(subscription: StoredSubscription): void
  /** Of a session that has any: how many messages, of how many bytes, and the last sequence. */
  backlog(sessionId: number, messages: number, bytes: number, sequenceMax: number): void
  /** @param byteLength of its message's frame */
  will(sessionId: number, fireAtMs: number, byteLength: number): void
  retained(message: StoredMessage): void
  group(groupId: number, shareName: string, filter: string): void
  groupDelivery(delivery: StoredDelivery, message: StoredMessage): void
  /** The greatest id of a message that is kept; 0: there is none. */
  messageIdMax(id: number): void
}

/** A message in the queue of a session, with its state in flight. */
export interface StoredEntry {
  readonly delivery: StoredDelivery
  readonly message: StoredMessage
  /** 0: it waits. */
  readonly packetId: number
  readonly state: number
}

/** What the store has of a session, for `broker.fetched`. */
export interface StoredPage {
  readonly ticket: number
  /** In the order of their sequences, without gaps: what is not in it is not there. */
  readonly entries: readonly StoredEntry[]
  /** Those below are empty but in the first page, from sequence 0. */
  readonly received: readonly number[]
  readonly will: StoredWill | null
}

/**
 * What must outlive the process. Every call but `commit` appends one record to the open batch;
 * the core has already changed its own state. When a batch is durable, the store calls
 * `broker.durable(batch)`: never within an append, but it may do so within `commit`.
 */
export interface Store {
  /** The number of the batch that collects now; it grows with each commit. */
  readonly openBatch: number
  /** True: the open batch holds records. */
  readonly dirty: boolean
  /** True: nothing may grow now (disk full): the core refuses with 0x97, deletes go on. */
  readonly full: boolean
  /** True: there is little space left, and nothing is refused yet. */
  readonly low: boolean
  /** What the disk has left for it; null: not known, or it is on none. */
  readonly freeBytes: number | null
  /** True: too much waits to be written: the core stops reading from publishers. */
  readonly congested: boolean
  /** At the end of a turn: begin to write the open batch, if nothing is being written. */
  commit(): void
  /** Reads all that was kept; once, before anything else. */
  load(reader: StoreReader): void
  /** True: it can be asked for sessions; those without a connection are not held in memory. */
  readonly pages: boolean
  /**
   * Asks for the queue of a session from this sequence on. All that is in flight comes at least;
   * beyond it at most `messagesMax` messages, and no more once they have `bytesMax` bytes. The
   * answer is `broker.fetched`, later: it has the effect of all records that were appended before
   * the call, and maybe of some that were appended after it.
   */
  fetch(
    ticket: number,
    sessionId: number,
    fromSequence: number,
    messagesMax: number,
    bytesMax: number,
  ): void
  putSession(session: StoredSession): void
  /** With its subscriptions, queue, in-flight state and will. */
  removeSession(sessionId: number): void
  putSubscription(subscription: StoredSubscription): void
  removeSubscription(sessionId: number, filter: string): void
  /** Once per message, before the first record that refers to it. */
  putMessage(message: StoredMessage): void
  putDelivery(delivery: StoredDelivery): void
  removeDelivery(sessionId: number, sequence: number): void
  /** With state NONE the message waits again. */
  putInflight(sessionId: number, packetId: number, sequence: number, state: number): void
  putReceived(sessionId: number, packetId: number): void
  removeReceived(sessionId: number, packetId: number): void
  putRetained(topic: string, messageId: number): void
  removeRetained(topic: string): void
  putWill(will: StoredWill): void
  removeWill(sessionId: number): void
  putGroup(groupId: number, shareName: string, filter: string): void
  removeGroup(groupId: number): void
  putGroupDelivery(delivery: StoredDelivery): void
  removeGroupDelivery(groupId: number, sequence: number): void
}

/** Other nodes. A node alone has none. */
export interface Peers {
  /** Name of this node in $SYS. */
  readonly nodeName: string
  /** False: no other node; the calls below are not made. */
  readonly present: boolean
  /** The first local subscription to this filter came, or the last one went. */
  interested(filter: string, present: boolean): void
  /** A message that was published here, for those that are interested. */
  forward(topic: string, message: StoredMessage): void
}

/** A client as others see it. */
export interface ClientView {
  readonly clientId: string
  readonly username: string | null
  readonly protocolLevel: 3 | 4 | 5
  readonly origin: Origin
  readonly keepAliveSeconds: number
  /** It goes on with a session that was there before, as its CONNACK told [MQTT-3.2.2-2]. */
  readonly sessionPresent: boolean
}

/** Who wants to know what happens. Each flag is tested before arguments are built. */
export interface Trace {
  /** True: `received` and `sent` are called for each frame. */
  readonly packets: boolean
  received(origin: Origin, clientId: string, bytes: Uint8Array, start: number, end: number): void
  sent(origin: Origin, clientId: string, pieces: readonly Uint8Array[]): void
  /** True: `published` is called for each message. */
  readonly messages: boolean
  published(publisher: string, topic: string, payload: Uint8Array, qos: QoS, retain: boolean): void
  /** True: `connected` is called for each client. */
  readonly clients: boolean
  connected(client: ClientView): void
  /** `reasonCode` as the broker or the client gave it; `text` says why in words. */
  disconnected(clientId: string, reasonCode: number, text: string): void
  /** A CONNECT was refused, or a connection ended before it. The names are those that it gave. */
  refused(
    origin: Origin,
    clientId: string,
    username: string | null,
    reasonCode: number,
    text: string,
  ): void
  /** The client connects again and again; told once per window. */
  flapping(client: FlappingClient): void
  subscribed(clientId: string, filter: string, qos: QoS): void
  unsubscribed(clientId: string, filter: string): void
  /** Messages were lost, see ledger.ts. Called for the first of each kind only. */
  dropped(reason: string, clientId: string, topic: string): void
}

export interface Ports {
  readonly clock: Clock
  readonly random: Random
  readonly turn: Turn
  readonly store: Store
  readonly peers: Peers
  readonly guard: Guard
  readonly trace: Trace
}
