// What several clients do, one after the other, as plain data: it can be printed, cut shorter and
// played against any broker.

import type {
  ConnectPacket,
  Properties,
  ProtocolLevel,
  QoS,
  SubscriptionRequest,
} from '@godwit/packet'

/** What a client leaves unanswered: nothing, all acknowledgements, or PUBCOMP only. */
export type Hold = 'nothing' | 'all' | 'pubcomp'

export interface Message {
  readonly topic: string
  readonly payload: string
  readonly qos: QoS
  readonly retain: boolean
  /** A topic alias goes with it; 0: none. */
  readonly alias: number
  /** The alias was told before, and the topic is left out. */
  readonly aliasOnly: boolean
  readonly properties: Properties
}

/** Where a QoS 2 exchange breaks: the client is gone after this packet, comes back and goes on. */
export type Break = 'publish' | 'pubrec' | 'pubrel' | 'pubcomp'

interface StepOf<Name extends string> {
  readonly does: Name
  /** The client's name in the script. */
  readonly client: string
}

export interface Connect extends StepOf<'connect'> {
  readonly packet: ConnectPacket
}
export interface Subscribe extends StepOf<'subscribe'> {
  readonly requests: readonly SubscriptionRequest[]
  readonly properties: Properties
}
export interface Unsubscribe extends StepOf<'unsubscribe'> {
  readonly filters: readonly string[]
}
export interface Publish extends StepOf<'publish'> {
  /** All in one write. */
  readonly messages: readonly Message[]
}
export interface BrokenPublish extends StepOf<'broken-publish'> {
  readonly message: Message
  readonly after: Break
  /** How it comes back. */
  readonly packet: ConnectPacket
}
export interface Disconnect extends StepOf<'disconnect'> {
  readonly reasonCode: number
  readonly properties: Properties
}
/** The end of the connection without DISCONNECT. */
export type Cut = StepOf<'cut'>
export interface SetHold extends StepOf<'hold'> {
  readonly hold: Hold
}

/** Several clients at once. */
export interface Together extends StepOf<'together'> {
  readonly all: readonly Publish[]
}
/** A new connection that says all of it in one write, and waits for no answer before. */
export interface Pipeline extends StepOf<'pipeline'> {
  readonly packet: ConnectPacket
  /** Messages have QoS 0 or 1. */
  readonly parts: readonly (Subscribe | Unsubscribe | Publish)[]
  /** DISCONNECT is in the same write: what comes to it may come or not. */
  readonly leaves: boolean
}
/** All connections end, and a broker that keeps everything is started anew. */
export type Restart = StepOf<'restart'>

export type Step =
  | Together
  | Pipeline
  | Restart
  | Connect
  | Subscribe
  | Unsubscribe
  | Publish
  | BrokenPublish
  | Disconnect
  | Cut
  | SetHold

export interface Script {
  readonly seed: number
  readonly levels: Readonly<Record<string, ProtocolLevel>>
  readonly steps: readonly Step[]
}

/** A step in a line. */
export function describeStep(step: Step): string {
  const { does, client, ...rest } = step
  return `${client} ${does} ${shown(rest)}`
}

/** JSON that shows bytes as text, and leaves out what says nothing. */
export function shown(value: unknown): string {
  return JSON.stringify(value, (key, part: unknown) => {
    if (part instanceof Uint8Array || isBuffer(part)) return textOf(part)
    if (part === false || part === null || key === 'type') return undefined
    return part
  })
}

/** How JSON.stringify hands on a Buffer, which has a toJSON. */
function isBuffer(value: unknown): value is { readonly data: readonly number[] } {
  return typeof value === 'object' && value !== null && 'data' in value && 'type' in value
}

function textOf(bytes: Uint8Array | { readonly data: readonly number[] }): string {
  return Buffer.from(bytes instanceof Uint8Array ? bytes : bytes.data).toString()
}
