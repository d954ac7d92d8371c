// A log on a disk that keeps what was synced and tears what was not: frames in segments, written
// and read by the code of the real one. A new life begins a new segment behind the torn tail.

import {
  FORMAT_VERSION,
  FRAME_HEADER_BYTES,
  frameSeed,
  STORE_ID_BYTES,
  sealFrame,
  segmentName,
  writeSegmentHeader,
} from '@godwit/broker/store/log-format'
import { LogScanner } from '@godwit/broker/store/log-scanner'
import { readRecords } from '@godwit/broker/store/record-reader'
import type { RecordWriter } from '@godwit/broker/store/record-writer'
import { readerOf } from '@godwit/broker/store/segment-window'
import type { SeededRandom } from './random.ts'
import { StoredState } from './stored-state.ts'

const STORE_ID: Uint8Array = Uint8Array.from({ length: STORE_ID_BYTES }, (_, i) => i * 7 + 1)
const SEGMENT_BYTES = 16 * 1024 * 1024

export class SimulatedLog {
  readonly #random: SeededRandom
  /** The parts of each segment; the number of the first is 1. */
  readonly #segments: Uint8Array[][] = []
  #lastSequence = 0

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** What a new process finds. It writes into a segment of its own from then on. */
  recover(): StoredState {
    const { state, lastSequence } = this.read()
    this.#lastSequence = lastSequence
    const number = this.#segments.length + 1
    const header = { version: FORMAT_VERSION, storeId: STORE_ID, number, byteCount: SEGMENT_BYTES }
    this.#segments.push([writeSegmentHeader(header)])
    return state
  }

  /** All that is on the disk, by the scanner and the record reader of the real store. */
  read(): { state: StoredState; lastSequence: number } {
    const state = new StoredState()
    const options = { storeId: STORE_ID, appliedSequence: 0, firstSegment: 0, salvage: false }
    const scanner = new LogScanner(options, (bytes, start, end) => {
      readRecords(bytes, start, end, state)
    })
    this.#segments.forEach((parts, index) => {
      const bytes = Buffer.concat(parts)
      scanner.scan(segmentName(index + 1), index + 1, bytes.length, readerOf(bytes))
    })
    state.sweep()
    return { state, lastSequence: scanner.lastSequence }
  }

  /** The batch as the frame that comes next. */
  seal(records: RecordWriter): Uint8Array {
    const bytes = Buffer.from(records.toBytes())
    const seed = frameSeed(STORE_ID, this.#segments.length)
    sealFrame(bytes, bytes.length, seed, this.#lastSequence + 1, records.count)
    return bytes
  }

  /** It is synced. */
  append(frame: Uint8Array): void {
    this.#lastSequence++
    this.#segments.at(-1)?.push(frame)
  }

  /** The power fails while it is written: whole, in part, damaged, or not at all. */
  tear(frame: Uint8Array): void {
    const random = this.#random
    const segment = this.#segments.at(-1)
    const torn = Uint8Array.from(frame)
    const fate = random.pick(['whole', 'part', 'damaged', 'none'])
    if (fate === 'none' || segment === undefined) return
    if (fate === 'damaged') {
      const at = random.below(torn.length)
      torn[at] = (torn[at] ?? 0) ^ (1 + random.below(255))
    }
    const length = fate === 'part' ? random.below(torn.length) : torn.length
    segment.push(torn.subarray(0, length))
    if (random.chance(0.5)) segment.push(new Uint8Array(FRAME_HEADER_BYTES * random.below(40)))
  }
}
