// The disk is full: what would grow is refused as each protocol level can say it, what shrinks goes
// on, and all is well again when there is room. As root only, where there are loop devices.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Chance } from '../support/chance.ts'
import { skipWithout } from '../support/skip.ts'
import { delay, until } from '../support/time.ts'
import { check } from './checker.ts'
import { Client, type ClientOptions, clientOptions, type World } from './client.ts'
import { Ledger, readLedger } from './ledger.ts'
import { DiskRoom, missingForDisks } from './loop-disk.ts'
import { BrokerProcess } from './processes.ts'

const DISK_MEBIBYTES = 48
const ROOM_BYTES = 100 * 1024 * 1024
const MIB = 1024 * 1024
const STORE = { segmentBytes: MIB, checkpointBytes: 4 * MIB, checkpointMs: 500 }
const LIMIT_MS = 60_000
const QUOTA_EXCEEDED = 0x97
const FAILURE = 0x80
const SERVER_UNAVAILABLE = 3

/** A broker on a small disk, clients, and a ledger of what they saw. */
class FullDisk {
  readonly directory: string
  broker: BrokerProcess | null = null
  readonly world: World
  private readonly room: DiskRoom
  private readonly mountPoint: string
  private readonly ledger: Ledger
  private readonly clients: Client[] = []
  private sequence = 0

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'godwit-full-'))
    this.room = new DiskRoom(join(this.directory, 'room'), ROOM_BYTES)
    this.mountPoint = this.room.make('disk', DISK_MEBIBYTES).mountPoint
    this.ledger = new Ledger(join(this.directory, 'ledger'))
    this.world = { chance: new Chance(1), ledger: this.ledger, clears: new Map() }
  }

  async start(): Promise<void> {
    const directory = join(this.mountPoint, 'data')
    this.broker = await BrokerProcess.start({ store: { directory, ...STORE } })
  }

  get port(): number {
    return this.broker?.port ?? 0
  }

  client(clientId: string, level: 4 | 5, given: Partial<ClientOptions> = {}): Client {
    const client = new Client(this.world, clientOptions(clientId, level, { holds: 0, ...given }))
    this.clients.push(client)
    return client
  }

  async connected(clientId: string, level: 4 | 5, given = {}): Promise<Client> {
    const client = this.client(clientId, level, given)
    assert.equal(await client.connect(this.port), true, `${clientId} is let in`)
    return client
  }

  /** @returns the code of the acknowledgement, or -1 when the connection ended without one */
  async publish(client: Client, topic: string, qos: 1 | 2, retain = false): Promise<number> {
    const id = `1.${client.clientId}.${++this.sequence}`
    const message = { id, topic, qos, retain, clears: false, expirySeconds: -1 }
    let code = -1
    client.onAcknowledged = (acknowledged, itsCode) => {
      if (acknowledged === id) code = itsCode
    }
    assert.equal(client.publish(message), true)
    await until(() => code >= 0 || !client.linked, LIMIT_MS)
    return code
  }

  /** Publishes until it is refused. @returns how many were taken */
  async publishUntilRefused(client: Client, topic: string): Promise<number> {
    for (let count = 0; count < 100_000; count++) {
      const code = await this.publish(client, topic, 1)
      if (code === QUOTA_EXCEEDED) return count
      assert.equal(code, 0)
    }
    return assert.fail('a full disk takes everything')
  }

  /** Somebody else takes all the space that there is. */
  fill(): void {
    const chunk = new Uint8Array(MIB / 4)
    for (let i = 0; ; i++) {
      try {
        writeFileSync(join(this.mountPoint, `filler-${i}`), chunk)
      } catch {
        return
      }
    }
  }

  makeRoom(): void {
    for (let i = 0; existsSync(join(this.mountPoint, `filler-${i}`)); i++) {
      rmSync(join(this.mountPoint, `filler-${i}`))
    }
  }

  async kill(): Promise<void> {
    await this.broker?.kill()
    await until(() => this.clients.every(client => !client.linked), LIMIT_MS)
    this.ledger.add({ op: 'crash' })
  }

  /** Nothing that was acknowledged is missing, nothing that was refused has come. */
  judge(): void {
    this.ledger.close()
    const { violations, owed } = check(readLedger(join(this.directory, 'ledger')))
    assert.deepEqual(violations, [])
    assert.ok(owed > 60, `${owed} deliveries owed`)
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.destroy()
    await this.broker?.kill()
    this.room.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

test('a full disk refuses what grows, takes what shrinks, and loses nothing', async context => {
  if (skipWithout(context, missingForDisks())) return
  const disk = new FullDisk()
  try {
    await disk.start()
    const reader = await disk.connected('reader', 5)
    await reader.subscribe('m/#', 1)
    await reader.subscribe('x/#', 1)
    await reader.disconnect()
    const publisher = await disk.connected('publisher', 5, { clean: true })
    for (let i = 0; i < 50; i++) assert.equal(await disk.publish(publisher, 'm/a', 1), 0)
    disk.fill()
    const taken = await disk.publishUntilRefused(publisher, 'm/a')
    context.diagnostic(`${taken} messages were taken after the disk was full`)
    await assertGrowthRefused(disk, publisher)
    await assertShrinkingGoesOn(disk, reader)
    await disk.kill()
    await disk.start()
    await assertGrowthRefusedAfterStart(disk, publisher)
    await reader.connect(disk.port)
    disk.makeRoom()
    await assertServiceResumes(disk, publisher)
    await reader.ping()
    await disk.kill()
    await disk.start()
    await reader.connect(disk.port)
    await reader.ping()
    await delay(500)
    await reader.ping()
    disk.judge()
  } finally {
    await disk.close()
  }
})

async function assertGrowthRefused(disk: FullDisk, publisher: Client): Promise<void> {
  assert.equal(await disk.publish(publisher, 'm/a', 2), QUOTA_EXCEEDED, 'QoS 2, MQTT 5.0')
  assert.equal(await disk.publish(publisher, 'm/r', 1, true), QUOTA_EXCEEDED, 'retained')
  assert.equal(await disk.publish(publisher, 'nobody', 1), 0x10, 'what nobody keeps goes on')
  const old = await disk.connected('old', 4, { clean: true })
  assert.equal(await disk.publish(old, 'm/a', 1), -1, 'MQTT 3.1.1: closed, no acknowledgement')
  const legacy = disk.client('legacy', 4)
  assert.equal(await legacy.connect(disk.port), false, 'a new session that has to be kept')
  assert.equal(legacy.code, SERVER_UNAVAILABLE)
  const session = disk.client('session', 5)
  assert.equal(await session.connect(disk.port), false, 'a new session that has to be kept')
  assert.equal(session.code, QUOTA_EXCEEDED)
  const clean = await disk.connected('clean', 5, { clean: true })
  assert.equal(await clean.subscribe('live', 1), 1, 'a subscription that nobody keeps')
}

async function assertShrinkingGoesOn(disk: FullDisk, reader: Client): Promise<void> {
  let received = 0
  reader.onMessage = () => {
    received++
  }
  assert.equal(await reader.connect(disk.port), true, 'a session that is kept already')
  assert.equal(await reader.subscribe('more', 1), FAILURE + 0x17, 'a subscription to be kept')
  assert.equal(await reader.unsubscribe('x/#'), true, 'UNSUBACK comes')
  assert.ok(await until(() => received > 50, LIMIT_MS), 'the queue is delivered and acknowledged')
  for (let seen = -1; seen !== received; ) {
    seen = received
    await reader.ping()
    await delay(100)
  }
  await reader.disconnect()
}

async function assertGrowthRefusedAfterStart(disk: FullDisk, publisher: Client): Promise<void> {
  assert.equal(await publisher.connect(disk.port), true)
  // What was freed and kept for the start is used up first.
  await disk.publishUntilRefused(publisher, 'm/b')
}

async function assertServiceResumes(disk: FullDisk, publisher: Client): Promise<void> {
  const endMs = performance.now() + LIMIT_MS
  for (;;) {
    const code = await disk.publish(publisher, 'm/c', 1)
    if (code === 0) break
    assert.equal(code, QUOTA_EXCEEDED)
    assert.ok(performance.now() < endMs, 'service resumes when there is room')
    await delay(50)
  }
  assert.equal(await disk.publish(publisher, 'm/c', 2), 0)
  assert.equal(await disk.publish(publisher, 'm/r', 1, true), 0)
}
