// hot
// What a session has sent and not finished, by packet identifier, and what waits to be sent.
// Pure tables: the rules are in session.ts.

import { PACKET_ID_MAX, type Properties, type QoS } from '@godwit/packet'
import type { MqttError } from './errors.ts'
import type { Wanted } from './wanted.ts'

/** Who waits for a message. An object, so that a message costs no closure. */
export interface PublishDone {
  /**
   * Told once how it ended: `error` is null when its QoS was fulfilled. `properties` are those of
   * the acknowledgement.
   */
  settled(error: MqttError | null, reasonCode: number, properties: Properties): void
}

/** Where an exchange stands. */
export const Stage = {
  /** Not sent. */
  WAITING: 0,
  /** PUBLISH was sent; PUBACK or PUBREC is due. */
  PUBLISHED: 1,
  /** PUBREL was sent; PUBCOMP is due. */
  RELEASED: 2,
  SUBSCRIBED: 3,
  UNSUBSCRIBED: 4,
} as const

/** A message for the server. */
export class Outgoing {
  packetId = 0
  stage: number = Stage.WAITING
  /** Order of sending; 0 while it waits. */
  sequence = 0
  /** Whether it takes room in the window of this connection. */
  counted = false
  /** Key of its record while it waits, -1 for none. */
  storeKey = -1
  readonly topic: string
  readonly payload: Uint8Array | string
  readonly qos: QoS
  readonly retain: boolean
  /** As `encodeProperties` gives them. */
  readonly properties: Uint8Array | null
  readonly bytes: number
  done: PublishDone | null

  constructor(
    topic: string,
    payload: Uint8Array | string,
    qos: QoS,
    retain: boolean,
    properties: Uint8Array | null,
    bytes: number,
    done: PublishDone | null,
  ) {
    this.topic = topic
    this.payload = payload
    this.qos = qos
    this.retain = retain
    this.properties = properties
    this.bytes = bytes
    this.done = done
  }
}

/** A SUBSCRIBE or UNSUBSCRIBE that waits for its answer. */
export class Asked {
  packetId = 0
  readonly stage: number
  readonly sequence = 0
  readonly wanted: readonly Wanted[]

  constructor(stage: number, wanted: readonly Wanted[]) {
    this.stage = stage
    this.wanted = wanted
  }
}

type Slot = Outgoing | Asked

const NO_SLOTS: (Slot | null)[] = []
const FIRST_SLOTS = 8
const SLOTS_MAX = PACKET_ID_MAX + 1
const KEPT_ITEMS_MAX = 1024
/** Of all lines that have never had an item. */
const NO_ITEMS: never[] = []

/**
 * Exchanges by packet identifier, in an array that is as large as the most that were under way.
 * The identifier's low bits are its place.
 */
export class Inflight {
  count = 0
  private slots: (Slot | null)[] = NO_SLOTS
  private last = 0

  /** Gives an unused identifier. @returns 0 when there is none [MQTT-2.2.1-3] [MQTT-2.3.1-2 v3] */
  add(item: Slot): number {
    if (this.count >= PACKET_ID_MAX) return 0
    if (this.count * 2 >= this.slots.length && this.slots.length < SLOTS_MAX) this.grow()
    let id = this.last
    do id = id === PACKET_ID_MAX ? 1 : id + 1
    while (this.slots[id & (this.slots.length - 1)] !== null)
    this.last = id
    this.put(item, id)
    return id
  }

  /** Takes up an exchange of a restored session. */
  restore(item: Slot, packetId: number): void {
    while (this.slots.length === 0 || this.slots[packetId & (this.slots.length - 1)] !== null) {
      this.grow()
    }
    this.put(item, packetId)
    if (packetId > this.last) this.last = packetId
  }

  get(packetId: number): Slot | null {
    const slots = this.slots
    if (slots.length === 0) return null
    const item = slots[packetId & (slots.length - 1)]
    return item != null && item.packetId === packetId ? item : null
  }

  remove(item: Slot): void {
    this.slots[item.packetId & (this.slots.length - 1)] = null
    this.count--
  }

  /** All messages in the order in which they must be sent again. [MQTT-4.6.0-1] */
  messages(): Outgoing[] {
    const found: Outgoing[] = []
    for (const item of this.slots) if (item instanceof Outgoing) found.push(item)
    return found.sort((a, b) => a.sequence - b.sequence)
  }

  /** Takes out and returns what asks for subscriptions: it is asked anew on the next connection. */
  takeAsked(): Asked[] {
    const found: Asked[] = []
    for (const item of this.slots) if (item instanceof Asked) found.push(item)
    for (const item of found) this.remove(item)
    return found
  }

  clear(): void {
    this.slots = NO_SLOTS
    this.count = 0
  }

  private put(item: Slot, packetId: number): void {
    item.packetId = packetId
    this.slots[packetId & (this.slots.length - 1)] = item
    this.count++
  }

  private grow(): void {
    const old = this.slots
    const length = old.length === 0 ? FIRST_SLOTS : old.length * 2
    const slots: (Slot | null)[] = new Array(length).fill(null)
    for (const item of old) if (item !== null) slots[item.packetId & (length - 1)] = item
    this.slots = slots
  }
}

/** A first-in first-out line in an array that is compacted now and then, and kept while small. */
export class Line<T> {
  private items: (T | undefined)[] = NO_ITEMS
  private head = 0
  private tail = 0

  get length(): number {
    return this.tail - this.head
  }

  push(item: T): void {
    if (this.items === NO_ITEMS) this.items = []
    this.items[this.tail++] = item
  }

  peek(): T | undefined {
    return this.length === 0 ? undefined : this.items[this.head]
  }

  shift(): T | undefined {
    if (this.head === this.tail) return undefined
    const item = this.items[this.head]
    this.items[this.head++] = undefined
    if (this.head === this.tail) {
      if (this.tail > KEPT_ITEMS_MAX) this.items = []
      this.head = this.tail = 0
    } else if (this.head >= KEPT_ITEMS_MAX && this.head * 2 > this.tail) {
      this.keep(this.takeAll())
    }
    return item
  }

  /** Puts items before all others, in their order. */
  unshift(items: readonly T[]): void {
    this.keep([...items, ...this.takeAll()])
  }

  /** The first item that fits. */
  find(fits: (item: T) => boolean): T | undefined {
    for (let i = this.head; i < this.tail; i++) {
      const item = this.items[i] as T
      if (fits(item)) return item
    }
    return undefined
  }

  /** @returns whether the item was in the line */
  remove(item: T): boolean {
    const at = this.items.indexOf(item, this.head)
    if (at < 0) return false
    if (at === this.head) {
      this.shift()
    } else {
      this.items.splice(at, 1)
      this.tail--
    }
    return true
  }

  /** Empties the line. */
  takeAll(): T[] {
    const all = this.items.slice(this.head, this.tail) as T[]
    this.keep([])
    return all
  }

  private keep(items: T[]): void {
    this.items = items
    this.head = 0
    this.tail = items.length
  }
}
