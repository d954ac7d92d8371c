// A store that answers late, can be full, and forgets at a crash what it had not made durable. One
// batch is written at a time while the next one collects, as the log does it.

import type {
  Store,
  StoredDelivery,
  StoredMessage,
  StoredSession,
  StoredSubscription,
  StoredWill,
  StoreReader,
} from '@godwit/broker/core/ports'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'
import type { StoredState } from './stored-state.ts'

type Change = (state: StoredState) => void

export interface StoreOptions {
  /** 0: a batch is durable within its commit. */
  readonly latencyMsMax: number
}

export class SimulatedStore implements Store {
  openBatch = 1
  dirty = false
  full = false
  congested = false
  durable: (batch: number) => void = () => undefined
  /** Counts the records, so that a run can show that it has used the store. */
  records = 0
  readonly #state: StoredState
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #options: StoreOptions
  #open: Change[] = []
  #writing: Change[] | null = null
  #dead = false

  constructor(state: StoredState, schedule: Schedule, random: SeededRandom, options: StoreOptions) {
    this.#state = state
    this.#schedule = schedule
    this.#random = random
    this.#options = options
  }

  get idle(): boolean {
    return this.#writing === null && !this.dirty
  }

  commit(): void {
    if (this.#writing !== null) return
    const batch = this.openBatch++
    this.#writing = this.#open
    this.#open = []
    this.dirty = false
    const { latencyMsMax } = this.#options
    if (latencyMsMax === 0) this.#finish(batch)
    else {
      const slow = this.#random.chance(0.02) ? 20 : 1
      const delayMs = this.#random.below(latencyMsMax + 1) * slow
      this.#schedule.after(delayMs, () => this.#finish(batch))
    }
  }

  load(reader: StoreReader): void {
    this.#state.load(reader)
  }

  /** The process ends. What was being written may have reached the disk, what collected has not. */
  crash(): void {
    this.#dead = true
    if (this.#writing !== null && this.#random.chance(0.5)) this.#apply(this.#writing)
    this.#writing = null
    this.#open = []
  }

  putSession(session: StoredSession): void {
    const copy = { ...session }
    this.#add(state => state.putSession(copy))
  }

  removeSession(sessionId: number): void {
    this.#add(state => state.removeSession(sessionId))
  }

  putSubscription(subscription: StoredSubscription): void {
    const copy = { ...subscription }
    this.#add(state => state.putSubscription(copy))
  }

  removeSubscription(sessionId: number, filter: string): void {
    this.#add(state => state.removeSubscription(sessionId, filter))
  }

  putMessage(message: StoredMessage): void {
    const copy = copyOf(message)
    this.#add(state => state.putMessage(copy))
  }

  putDelivery(delivery: StoredDelivery): void {
    const copy = deliveryOf(delivery)
    this.#add(state => state.putDelivery(copy))
  }

  removeDelivery(sessionId: number, sequence: number): void {
    this.#add(state => state.removeDelivery(sessionId, sequence))
  }

  putInflight(sessionId: number, packetId: number, sequence: number, inflight: number): void {
    this.#add(state => state.putInflight(sessionId, packetId, sequence, inflight))
  }

  putReceived(sessionId: number, packetId: number): void {
    this.#add(state => state.putReceived(sessionId, packetId))
  }

  removeReceived(sessionId: number, packetId: number): void {
    this.#add(state => state.removeReceived(sessionId, packetId))
  }

  putRetained(topic: string, messageId: number): void {
    this.#add(state => state.putRetained(topic, messageId))
  }

  removeRetained(topic: string): void {
    this.#add(state => state.removeRetained(topic))
  }

  putWill(will: StoredWill): void {
    const { sessionId, delaySeconds, expirySeconds, fireAtMs } = will
    const message = copyOf(will.message)
    const copy = { sessionId, message, delaySeconds, expirySeconds, fireAtMs }
    this.#add(state => state.putWill(copy))
  }

  removeWill(sessionId: number): void {
    this.#add(state => state.removeWill(sessionId))
  }

  putGroup(groupId: number, shareName: string, filter: string): void {
    this.#add(state => state.putGroup(groupId, shareName, filter))
  }

  removeGroup(groupId: number): void {
    this.#add(state => state.removeGroup(groupId))
  }

  putGroupDelivery(delivery: StoredDelivery): void {
    const copy = deliveryOf(delivery)
    this.#add(state => state.putGroupDelivery(copy))
  }

  removeGroupDelivery(groupId: number, sequence: number): void {
    this.#add(state => state.removeGroupDelivery(groupId, sequence))
  }

  #add(change: Change): void {
    this.dirty = true
    this.records++
    this.#open.push(change)
  }

  #finish(batch: number): void {
    if (this.#dead) return
    const writing = this.#writing
    this.#writing = null
    if (writing !== null) this.#apply(writing)
    this.durable(batch)
  }

  #apply(changes: readonly Change[]): void {
    for (const change of changes) change(this.#state)
    this.#state.sweep()
  }
}

function copyOf(message: StoredMessage): StoredMessage {
  const { id, frame, protocolLevel, expiresAtMs, publisher } = message
  if (id === 0) throw new Error('a message without an id is stored')
  return { id, frame: frame.slice(), protocolLevel, expiresAtMs, publisher }
}

function deliveryOf(delivery: StoredDelivery): StoredDelivery {
  const { ownerId, sequence, messageId, flags, identifiers } = delivery
  if (messageId === 0) throw new Error('a delivery of a message without an id is stored')
  return { ownerId, sequence, messageId, flags, identifiers: identifiers?.slice() ?? null }
}
