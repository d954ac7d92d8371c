// A store that answers late, can be full, and forgets at a crash what it had not made durable. Its
// records and frames are those of the real log; one batch is written at a time while the next one
// collects, as the store on disk does it.

import type {
  Store,
  StoredDelivery,
  StoredMessage,
  StoredPage,
  StoredSession,
  StoredSubscription,
  StoredWill,
  StoreReader,
} from '@godwit/broker/core/ports'
import { FRAME_HEADER_BYTES } from '@godwit/broker/store/log-format'
import { readRecords } from '@godwit/broker/store/record-reader'
import { RecordWriter } from '@godwit/broker/store/record-writer'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'
import type { SimulatedLog } from './simulated-log.ts'
import type { Loss } from './storage.ts'
import { StoredState } from './stored-state.ts'

interface Fetch {
  readonly batch: number
  readonly give: () => void
}

export interface StoreOptions {
  /** 0: a batch is durable within its commit. */
  readonly latencyMsMax: number
  /** False: sessions stay in memory for as long as the process lives. */
  readonly pages: boolean
}

export class SimulatedStore implements Store {
  readonly pages: boolean
  openBatch = 1
  durableBatch = 0
  full = false
  readonly low = false
  readonly freeBytes = null
  congested = false
  durable: (batch: number) => void = () => undefined
  fetched: (page: StoredPage) => void = () => undefined
  /** Counts the records, so that a run can show that it has used the store. */
  records = 0
  readonly #log: SimulatedLog
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #options: StoreOptions
  readonly #wallMs: number
  #fetches: Fetch[] = []
  readonly #open = new RecordWriter(FRAME_HEADER_BYTES)
  /** The frame that is on its way to the disk. */
  #writing: Uint8Array | null = null
  /** What is on the disk. */
  #state = new StoredState()
  #isDead = false

  /** @param wallMs the time of the start */
  constructor(
    log: SimulatedLog,
    schedule: Schedule,
    random: SeededRandom,
    options: StoreOptions,
    wallMs: number,
  ) {
    this.pages = options.pages
    this.#wallMs = wallMs
    this.#log = log
    this.#schedule = schedule
    this.#random = random
    this.#options = options
  }

  get dirty(): boolean {
    return this.#open.count > 0
  }

  get idle(): boolean {
    return this.#writing === null && !this.dirty
  }

  get isWriting(): boolean {
    return this.#writing !== null
  }

  commit(): void {
    if (this.#writing !== null) return
    const batch = this.openBatch++
    const frame = this.#log.seal(this.#open)
    this.#open.reset()
    this.#writing = frame
    const { latencyMsMax } = this.#options
    if (latencyMsMax === 0) this.#finish(batch, frame)
    else {
      const slow = this.#random.chance(0.02) ? 20 : 1
      const delayMs = this.#random.below(latencyMsMax + 1) * slow
      this.#schedule.after(delayMs, () => this.#finish(batch, frame))
    }
  }

  /** In which there is anything. */
  get newestBatch(): number {
    return this.dirty ? this.openBatch : this.openBatch - 1
  }

  load(reader: StoreReader): void {
    this.#state = this.#log.recover()
    this.#state.disconnectAll(this.#wallMs)
    this.#state.load(reader)
  }

  fetch(
    ticket: number,
    sessionId: number,
    fromSequence: number,
    messagesMax: number,
    bytesMax: number,
  ): void {
    const batch = this.newestBatch
    const give = () => {
      const page = this.#state.page(ticket, sessionId, fromSequence, messagesMax, bytesMax)
      // Each page takes its own time: an answer may be overtaken by what happens meanwhile.
      this.#schedule.after(this.#random.below(this.#options.latencyMsMax + 1), () => {
        if (!this.#isDead) this.fetched(page)
      })
    }
    this.#fetches.push({ batch, give })
    this.#giveFetched()
  }

  /** The process ends. What was being written may be on the disk in part, what collected is not. */
  crash(loss: Loss): void {
    this.#isDead = true
    if (this.#writing !== null && loss === 'some') this.#log.tear(this.#writing)
    this.#writing = null
  }

  putSession(session: StoredSession): void {
    this.#next.putSession(session)
  }

  removeSession(sessionId: number): void {
    this.#next.removeSession(sessionId)
  }

  putSubscription(subscription: StoredSubscription): void {
    this.#next.putSubscription(subscription)
  }

  removeSubscription(sessionId: number, filter: string): void {
    this.#next.removeSubscription(sessionId, filter)
  }

  putMessage(message: StoredMessage): void {
    if (message.id === 0) throw new Error('a message without an id is stored')
    this.#next.putMessage(message)
  }

  putDelivery(delivery: StoredDelivery): void {
    this.#next.putDelivery(checked(delivery))
  }

  removeDelivery(sessionId: number, sequence: number): void {
    this.#next.removeDelivery(sessionId, sequence)
  }

  putInflight(sessionId: number, packetId: number, sequence: number, state: number): void {
    this.#next.putInflight(sessionId, packetId, sequence, state)
  }

  putReceived(sessionId: number, packetId: number): void {
    this.#next.putReceived(sessionId, packetId)
  }

  removeReceived(sessionId: number, packetId: number): void {
    this.#next.removeReceived(sessionId, packetId)
  }

  putRetained(topic: string, messageId: number): void {
    this.#next.putRetained(topic, messageId)
  }

  removeRetained(topic: string): void {
    this.#next.removeRetained(topic)
  }

  putWill(will: StoredWill): void {
    this.#next.putWill(will)
  }

  removeWill(sessionId: number): void {
    this.#next.removeWill(sessionId)
  }

  putGroup(groupId: number, shareName: string, filter: string): void {
    this.#next.putGroup(groupId, shareName, filter)
  }

  removeGroup(groupId: number): void {
    this.#next.removeGroup(groupId)
  }

  putGroupDelivery(delivery: StoredDelivery): void {
    this.#next.putGroupDelivery(checked(delivery))
  }

  removeGroupDelivery(groupId: number, sequence: number): void {
    this.#next.removeGroupDelivery(groupId, sequence)
  }

  /** The records of the open batch. */
  get #next(): RecordWriter {
    this.records++
    return this.#open
  }

  #finish(batch: number, frame: Uint8Array): void {
    if (this.#isDead) return
    this.#writing = null
    this.#log.append(frame)
    readRecords(frame, FRAME_HEADER_BYTES, frame.length, this.#state)
    this.#state.sweep()
    this.durableBatch = batch
    this.durable(batch)
    this.#giveFetched()
  }

  #giveFetched(): void {
    const fetches = this.#fetches
    this.#fetches = []
    for (const fetch of fetches) {
      if (fetch.batch <= this.durableBatch) fetch.give()
      else this.#fetches.push(fetch)
    }
  }
}

function checked(delivery: StoredDelivery): StoredDelivery {
  if (delivery.messageId === 0) throw new Error('a delivery of a message without an id is stored')
  return delivery
}
