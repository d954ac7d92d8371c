// Rounds of load, power cut and restart: the broker stands still, what has reached its disk by then
// is copied, and a broker starts on the copy.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Chance } from '../support/chance.ts'
import { delay } from '../support/time.ts'
import { check, type Verdict } from './checker.ts'
import { readLedger } from './ledger.ts'
import { DiskRoom, type LoopDisk } from './loop-disk.ts'
import { type Carry, NOTHING_BEFORE } from './model.ts'
import { BrokerProcess, LoadProcess } from './processes.ts'

const ROOM_BYTES = 700 * 1024 * 1024
const DISK_MEBIBYTES = 192
const KIB = 1024
const SIZES = [
  { segmentBytes: 64 * KIB, checkpointBytes: 256 * KIB, checkpointMs: 100 },
  { segmentBytes: 1024 * KIB, checkpointBytes: 4096 * KIB, checkpointMs: 60_000 },
] as const
const LOAD_MS_MIN = 200
const LOAD_MS_MAX = 1500
/** What the kernel has begun when the broker stops comes to its end. */
const SETTLE_MS = 30
/** In the control it is known that much does not come. */
const CONTROL_PATIENCE_MS = 2000

export class PowerCut {
  private readonly room: DiskRoom
  private readonly load: LoadProcess
  private readonly chance: Chance
  private readonly seed: number
  private disk: LoopDisk
  private broker: BrokerProcess | null = null
  private carry: Carry = NOTHING_BEFORE
  private count = 0

  /** @param directory for the disks and the ledgers, which are not on them */
  constructor(directory: string, seed: number) {
    mkdirSync(directory, { recursive: true })
    this.seed = seed
    this.chance = new Chance(seed)
    this.room = new DiskRoom(join(directory, 'room'), ROOM_BYTES)
    this.disk = this.room.make('disk-0', DISK_MEBIBYTES)
    this.load = new LoadProcess(join(directory, 'ledger'))
  }

  /**
   * One round. With `lying` syncs do nothing, and the verdict must not be good.
   * @returns what the broker on the copy has kept
   */
  async round(lying = false): Promise<Verdict> {
    const round = ++this.count
    await this.broker?.stop()
    this.disk.sync()
    const preload = lying ? [new URL('./preload-no-sync.js', import.meta.url).href] : []
    this.broker = await this.start(preload)
    const { port } = this.broker
    await this.load.ask({ type: 'start', seed: this.seed, round, port }, 'running')
    await delay(LOAD_MS_MIN + this.chance.below(LOAD_MS_MAX - LOAD_MS_MIN))
    await this.cut(round)
    this.broker = await this.start([])
    const patience = lying ? { patienceMs: CONTROL_PATIENCE_MS } : {}
    const recovered = { type: 'recovered', port: this.broker.port, ...patience } as const
    const { ledger } = await this.load.ask(recovered, 'done')
    const verdict = check(readLedger(ledger), this.carry)
    this.carry = verdict.carry
    return verdict
  }

  async close(): Promise<void> {
    this.load.kill()
    await this.broker?.kill()
    this.room.close()
  }

  private async cut(round: number): Promise<void> {
    const { broker } = this
    if (broker?.running !== true) {
      throw new Error(`the broker is not there any more: ${broker?.describe()}`)
    }
    broker.freeze()
    await delay(SETTLE_MS)
    const old = this.disk
    // The copy is mounted only when the old disk is gone: both have one file system id.
    this.room.copyImage(`disk-${round}`, old)
    await broker.kill()
    await this.load.ask({ type: 'crashed' }, 'stopped')
    this.room.discard(old)
    this.disk = this.room.open(`disk-${round}`)
  }

  private async start(preload: readonly string[]): Promise<BrokerProcess> {
    const directory = join(this.disk.mountPoint, 'data')
    const broker = await BrokerProcess.start({
      store: { directory, ...this.chance.pick(SIZES) },
      preload,
    })
    if (broker === null) throw new Error('the broker was killed while it started')
    return broker
  }
}
