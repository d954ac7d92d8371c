// hot
// Sessions without a connection whose queues are in the store: what has to be known of them all the
// time, in about a hundred bytes each outside of the heap. That is who they are, their filters
// without wildcards, what waits for them, and when they end. Nothing is decided here: see sleep.ts.

import { decodeUtf8, encodeUtf8 } from '@godwit/packet'
import { ByteArena } from './byte-arena.ts'
import { Float64Column, Uint32Column, WideColumn } from './columns.ts'
import { HashIndex, hashOf } from './hash-index.ts'
import type { Subscription } from './subscriptions.ts'

/** The end of a session, or its will, in monotonic milliseconds: it has none. */
export const NO_TIME = 0

const NEXT = 0
const SLOT = 1
const IDENTIFIER = 2
/** Options in bits 0 to 7, the length of the filter above. */
const OPTIONS = 3
const FILTER_AT = 16
const CLIENT_ID_AT = 4
const NO_SUBSCRIPTIONS: readonly Subscription[] = []

export class Sleepers {
  count = 0
  /** Slots from here on were never used. */
  slotsMax = 0
  readonly storedId: Uint32Column = new Uint32Column()
  /** Monotonic, or NO_TIME. */
  readonly endsAtMs: Float64Column = new Float64Column()
  readonly willAtMs: Float64Column = new Float64Column()
  readonly willBytes: Uint32Column = new Uint32Column()
  /** In the queue and in flight. */
  readonly messages: Uint32Column = new Uint32Column()
  readonly bytes: WideColumn = new WideColumn()
  readonly nextPacketId: Uint32Column = new Uint32Column()
  readonly nextSequence: WideColumn = new WideColumn()
  private readonly arena = new ByteArena()
  private readonly client = new Uint32Column()
  private readonly firstSubscription = new Uint32Column()
  private readonly byClientId: HashIndex = new HashIndex(value => this.hashOfClient(value - 1))
  private readonly byFilter: HashIndex = new HashIndex(address => this.hashOfFilter(address))
  private readonly free: number[] = []
  private readonly seed: number
  /** Those with wildcards or of a group stay in the tree or the group; by slot. */
  private readonly others = new Map<number, Subscription[]>()

  /** @param seed anything that a peer cannot guess */
  constructor(seed: number) {
    this.seed = seed
  }

  /** @returns the slot of this client's session, or -1 */
  find(clientId: string): number {
    if (this.count === 0) return -1
    const bytes = encodeUtf8(clientId)
    this.byClientId.find(hashOf(bytes, 0, bytes.length, this.seed))
    for (let value = this.byClientId.next(); value !== 0; value = this.byClientId.next()) {
      const address = this.client.get(value - 1)
      const length = this.arena.word(address, 0)
      if (this.isAt(address, CLIENT_ID_AT, length, bytes)) return value - 1
    }
    return -1
  }

  /** A session without subscriptions or messages. @returns its slot */
  add(clientId: string, storedId: number): number {
    const slot = this.free.pop() ?? this.slotsMax++
    const bytes = encodeUtf8(clientId)
    const address = this.arena.allocate(CLIENT_ID_AT + bytes.length)
    this.arena.setWord(address, 0, bytes.length)
    this.arena.bytesOf(address).set(bytes, this.arena.offsetOf(address) + CLIENT_ID_AT)
    this.client.set(slot, address)
    this.firstSubscription.set(slot, 0)
    this.storedId.set(slot, storedId)
    this.endsAtMs.set(slot, NO_TIME)
    this.willAtMs.set(slot, NO_TIME)
    this.willBytes.set(slot, 0)
    this.messages.set(slot, 0)
    this.bytes.set(slot, 0)
    this.nextSequence.set(slot, 1)
    this.nextPacketId.set(slot, 0)
    this.byClientId.add(hashOf(bytes, 0, bytes.length, this.seed), slot + 1)
    this.count++
    return slot
  }

  /** Forgets it with its filters; those of `others` are the caller's. */
  remove(slot: number): void {
    for (let address = this.firstSubscription.get(slot); address !== 0; ) {
      const next = this.arena.word(address, NEXT)
      this.freeSubscription(address)
      address = next
    }
    const address = this.client.get(slot)
    this.byClientId.remove(this.hashOfClient(slot), slot + 1)
    this.arena.free(address, CLIENT_ID_AT + this.arena.word(address, 0))
    this.client.set(slot, 0)
    this.others.delete(slot)
    this.free.push(slot)
    this.count--
  }

  /** Whether there is a session in this slot. */
  has(slot: number): boolean {
    return this.client.get(slot) !== 0
  }

  clientId(slot: number): string {
    const address = this.client.get(slot)
    const start = this.arena.offsetOf(address) + CLIENT_ID_AT
    return decodeUtf8(this.arena.bytesOf(address), start, start + this.arena.word(address, 0))
  }

  /** @param filter without wildcards and share name */
  addFilter(slot: number, filter: string, options: number, identifier: number): void {
    const bytes = encodeUtf8(filter)
    const address = this.arena.allocate(FILTER_AT + bytes.length)
    const arena = this.arena
    arena.setWord(address, NEXT, this.firstSubscription.get(slot))
    arena.setWord(address, SLOT, slot)
    arena.setWord(address, IDENTIFIER, identifier)
    arena.setWord(address, OPTIONS, options | (bytes.length << 8))
    arena.bytesOf(address).set(bytes, arena.offsetOf(address) + FILTER_AT)
    this.firstSubscription.set(slot, address)
    this.byFilter.add(hashOf(bytes, 0, bytes.length, this.seed), address)
  }

  /** A subscription that stays where it is: with wildcards, or of a group. */
  addOther(slot: number, subscription: Subscription): void {
    const list = this.others.get(slot)
    if (list === undefined) this.others.set(slot, [subscription])
    else list.push(subscription)
  }

  othersOf(slot: number): readonly Subscription[] {
    return this.others.get(slot) ?? NO_SUBSCRIPTIONS
  }

  /** Calls back for each of its filters without wildcards. */
  eachFilter(
    slot: number,
    visit: (filter: string, options: number, identifier: number) => void,
  ): void {
    const arena = this.arena
    for (let address = this.firstSubscription.get(slot); address !== 0; ) {
      const next = arena.word(address, NEXT)
      const packed = arena.word(address, OPTIONS)
      const start = arena.offsetOf(address) + FILTER_AT
      const filter = decodeUtf8(arena.bytesOf(address), start, start + (packed >>> 8))
      visit(filter, packed & 0xff, arena.word(address, IDENTIFIER))
      address = next
    }
  }

  /** Begins to look for those whose filter is this topic; `nextMatch` gives one after the other. */
  match(topicBytes: Uint8Array): boolean {
    if (this.count === 0) return false
    this.byFilter.find(hashOf(topicBytes, 0, topicBytes.length, this.seed))
    return true
  }

  /** @returns the address of a subscription to this topic, or 0 at the end */
  nextMatch(topicBytes: Uint8Array): number {
    for (let address = this.byFilter.next(); address !== 0; address = this.byFilter.next()) {
      const length = this.arena.word(address, OPTIONS) >>> 8
      if (this.isAt(address, FILTER_AT, length, topicBytes)) return address
    }
    return 0
  }

  slotOf(address: number): number {
    return this.arena.word(address, SLOT)
  }

  optionsOf(address: number): number {
    return this.arena.word(address, OPTIONS) & 0xff
  }

  identifierOf(address: number): number {
    return this.arena.word(address, IDENTIFIER)
  }

  private freeSubscription(address: number): void {
    this.byFilter.remove(this.hashOfFilter(address), address)
    this.arena.free(address, FILTER_AT + (this.arena.word(address, OPTIONS) >>> 8))
  }

  private hashOfClient(slot: number): number {
    const address = this.client.get(slot)
    return this.hashAt(address, CLIENT_ID_AT, this.arena.word(address, 0))
  }

  private hashOfFilter(address: number): number {
    return this.hashAt(address, FILTER_AT, this.arena.word(address, OPTIONS) >>> 8)
  }

  private hashAt(address: number, at: number, length: number): number {
    const start = this.arena.offsetOf(address) + at
    return hashOf(this.arena.bytesOf(address), start, start + length, this.seed)
  }

  private isAt(address: number, at: number, length: number, bytes: Uint8Array): boolean {
    if (length !== bytes.length) return false
    const known = this.arena.bytesOf(address)
    const start = this.arena.offsetOf(address) + at
    for (let i = 0; i < length; i++) if (known[start + i] !== bytes[i]) return false
    return true
  }
}
