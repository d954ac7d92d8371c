// A log on a simulated disk together with a model of what it must hold: batches that are numbered
// records, a checkpoint that is a number, and crashes at any moment.

import assert from 'node:assert/strict'
import type { CrashPoint } from '../crash-points.ts'
import { Log } from '../log.ts'
import { FRAME_HEADER_BYTES, segmentNumber } from '../log-format.ts'
import { LogScanner } from '../log-scanner.ts'
import { readRecords } from '../record-reader.ts'
import { RecordWriter } from '../record-writer.ts'
import { readerOf } from '../segment-window.ts'
import { SimulatedDisk, settled } from './simulated-disk.ts'
import { sinkOf } from './sinks.ts'

export const DIRECTORY = '/data/log'
export const STORE_ID: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => i * 7 + 1)

export interface RigOptions {
  readonly segmentBytes: number
  readonly spareCount: number
}

export class LogRig {
  readonly disk: SimulatedDisk
  log: Log | null = null
  /** The last batch that was handed to the log, that it acknowledged, that the checkpoint has. */
  tried = 0
  acknowledged = 0
  applied = 0
  /** What the checkpoint has noted of the log, and what it would note now. */
  firstSegment: number | null = 0
  private segment = 0
  failure: Error | null = null
  short = false
  /** Called at the named points; throws to end the run there. */
  reached: (point: CrashPoint) => void = () => undefined
  private readonly options: RigOptions
  private writing: Promise<void> | null = null

  constructor(seed: number, options: RigOptions = { segmentBytes: 4096, spareCount: 2 }) {
    this.disk = new SimulatedDisk(seed)
    this.options = options
  }

  /** What is in the log now, as recovery sees it. */
  scan(salvage = false): { scanner: LogScanner; ids: number[] } {
    const ids: number[] = []
    const sink = sinkOf({ putReceived: (_session, id) => ids.push(id) })
    const { firstSegment } = this
    const options = { storeId: STORE_ID, appliedSequence: this.applied, firstSegment, salvage }
    const scanner = new LogScanner(options, (bytes, start, end) => {
      readRecords(bytes, start, end, sink)
    })
    for (const name of this.disk.paths(DIRECTORY)) {
      const number = segmentNumber(name)
      if (number === 0) continue
      const bytes = this.disk.contents(`${DIRECTORY}/${name}`)
      scanner.scan(name, number, bytes.length, readerOf(bytes))
    }
    scanner.finish()
    return { scanner, ids }
  }

  /** Recovers as production does: all that is in the log goes into the checkpoint. */
  async start(): Promise<void> {
    const { scanner, ids } = this.scan()
    const expected = Array.from(ids, (_, i) => this.applied + 1 + i)
    assert.deepEqual(ids, expected, 'batches are whole, in order, without gaps')
    const last = this.applied + ids.length
    assert.equal(scanner.lastSequence, last)
    assert.ok(last >= this.acknowledged, `acknowledged ${this.acknowledged}, recovered ${last}`)
    assert.ok(last <= this.tried, `tried ${this.tried}, recovered ${last}`)
    this.applied = last
    this.tried = last
    this.acknowledged = last
    this.failure = null
    this.short = false
    this.firstSegment = 0
    await this.open(last)
    this.segment = this.log?.segmentNumber ?? 0
    if (this.segment > 0) this.firstSegment = this.segment
  }

  /** Begins to write the next batch; its records fill about so many bytes. */
  append(fillerBytes: number): Promise<void> {
    const log = this.log
    assert.ok(log !== null && this.writing === null)
    const id = ++this.tried
    const records = batchOf(id, fillerBytes)
    const writing = log.append(records).then(
      () => {
        this.acknowledged = id
        this.segment = log.segmentNumber
        this.writing = null
      },
      (error: unknown) => {
        this.failure = error instanceof Error ? error : new Error(String(error))
        this.writing = null
      },
    )
    this.writing = writing
    return writing
  }

  get idle(): boolean {
    return this.writing === null
  }

  /** The checkpoint takes what is acknowledged; segments are used again. */
  checkpoint(): void {
    this.applied = this.acknowledged
    this.firstSegment = this.segment
    this.log?.segments.recycle(this.applied, this.segment).catch((error: Error) => {
      this.failure = error
    })
  }

  crash(power: boolean): void {
    if (power) this.disk.crash()
    else this.disk.kill()
    this.log = null
    this.writing = null
  }

  async appendAll(count: number, fillerBytes: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.append(fillerBytes)
      await this.disk.run(() => this.idle)
    }
  }

  private async open(lastSequence: number): Promise<void> {
    const names = this.disk.paths(DIRECTORY)
    const nextNumber = Math.max(0, ...names.map(segmentNumber)) + 1
    const log = new Log(
      {
        fileSystem: this.disk.mount(),
        directory: DIRECTORY,
        storeId: STORE_ID,
        segmentBytes: this.options.segmentBytes,
        spareCount: this.options.spareCount,
        freeMax: 2,
        reached: point => this.reached(point),
        rotated: () => undefined,
        synced: () => undefined,
        shortage: short => {
          this.short = short
        },
        failed: cause => {
          this.failure = cause
        },
      },
      nextNumber,
      lastSequence,
    )
    const sizes = new Map(
      names.map(name => [name, this.disk.contents(`${DIRECTORY}/${name}`).length]),
    )
    let opened = false
    const opening = log.segments.adopt(names, sizes).then(() => log.open())
    opening.then(
      () => {
        opened = true
      },
      (error: Error) => {
        this.failure = error
      },
    )
    do await settled()
    while (!opened && this.failure === null && this.disk.step())
    this.log = opened ? log : null
  }
}

export function batchOf(id: number, fillerBytes: number): RecordWriter {
  const records = new RecordWriter(FRAME_HEADER_BYTES)
  records.putReceived(1, id)
  if (fillerBytes > 0) {
    const frame = new Uint8Array(fillerBytes).fill(id)
    records.putMessage({ id, frame, protocolLevel: 4, expiresAtMs: 0, publisher: '' })
  }
  return records
}
