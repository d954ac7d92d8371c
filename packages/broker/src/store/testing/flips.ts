// A small store that was killed, of which one bit after the other is flipped: what a start makes of
// it must be right, or refused.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { encodePacket, NO_PROPERTIES, PacketType } from '@godwit/packet'
import { StoreError } from '../errors.ts'
import { exportStore } from '../transfer.ts'
import { commitAll, Opened, session, temporaryDirectory } from './opened-store.ts'

const SIZES = { segmentBytes: 2048, checkpointBytes: 1024 * 1024 }
const PAYLOAD_BYTES = 100

export interface Killed {
  readonly directory: string
  /** All that it has, as lines of an export. */
  readonly all: readonly string[]
  /** The same without the last batch, which nothing tells from one that was torn. */
  readonly withoutLast: readonly string[]
  readonly files: readonly string[]
}

export interface Outcomes {
  right: number
  cut: number
  refused: number
}

/** It has records in its database, others in SQLite's write-ahead log, and more in its own. */
export async function killedStore(t: TestContext): Promise<Killed> {
  const directory = temporaryDirectory(t)
  const owner = new Opened()
  const store = await owner.open({ directory, ...SIZES })
  store.putSession({ ...session, disconnectedAtMs: 5 })
  store.putSubscription({ sessionId: 1, filter: 'a/b', options: 1, identifier: 0 })
  for (let id = 1; id <= 20; id++) putMessage(store, id)
  await commitAll(store, owner)
  await store.close()
  const again = new Opened()
  const second = await again.open({ directory, ...SIZES })
  for (let id = 21; id <= 26; id++) {
    putMessage(second, id)
    await commitAll(second, again)
  }
  const before = join(temporaryDirectory(t), 'before')
  copyStore(directory, before)
  putMessage(second, 27)
  await commitAll(second, again)
  const copy = join(temporaryDirectory(t), 'copy')
  copyStore(directory, copy)
  await second.terminate()
  const names = fs.readdirSync(copy, { recursive: true }) as string[]
  const files = names.filter(name => fs.statSync(join(copy, name)).isFile())
  const all = await linesOf(copy, t)
  const withoutLast = await linesOf(before, t)
  assert.equal(all.length, withoutLast.length + 2)
  return { directory: copy, all, withoutLast, files }
}

function copyStore(from: string, to: string): void {
  const filter = (path: string): boolean => !/(lock|ballast)$/.test(path)
  fs.cpSync(from, to, { recursive: true, filter })
}

function putMessage(store: Awaited<ReturnType<Opened['open']>>, id: number): void {
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(id)
  const words = { topic: 'a/b', payload, qos: 1, retain: false, dup: false, packetId: 1 } as const
  const frame = encodePacket({ type: PacketType.PUBLISH, ...words, properties: NO_PROPERTIES }, 4)
  store.putMessage({ id, frame, protocolLevel: 4, expiresAtMs: 0, publisher: 'p' })
  const rest = { byteLength: frame.length, messageId: id, flags: 1, identifiers: null }
  store.putDelivery({ ownerId: 1, sequence: id, ...rest })
}

async function linesOf(directory: string, t: TestContext): Promise<string[]> {
  const copy = join(temporaryDirectory(t), 'copy')
  copyStore(directory, copy)
  return exported(copy)
}

/** Without the first line, which has the time. */
async function exported(directory: string): Promise<string[]> {
  const lines: string[] = []
  const write = (line: string): Promise<void> => {
    lines.push(line)
    return Promise.resolve()
  }
  await exportStore({ directory, write })
  return lines.slice(1, -1)
}

/** Flips a bit in each `step`th byte of a file, and opens what it is then. */
export async function flipAll(
  killed: Killed,
  name: string,
  step: number,
  t: TestContext,
): Promise<Outcomes> {
  const outcomes = { right: 0, cut: 0, refused: 0 }
  const bytes = fs.readFileSync(join(killed.directory, name))
  const copy = join(temporaryDirectory(t), 'copy')
  for (let at = 0; at < bytes.length; at += step) {
    fs.rmSync(copy, { recursive: true, force: true })
    copyStore(killed.directory, copy)
    const damaged = Buffer.from(bytes)
    damaged[at] = (damaged[at] as number) ^ (1 << (at % 8))
    fs.writeFileSync(join(copy, name), damaged)
    outcomes[await outcomeOf(killed, copy, `byte ${at} of ${name}`)]++
  }
  return outcomes
}

async function outcomeOf(killed: Killed, copy: string, what: string): Promise<keyof Outcomes> {
  let lines: string[]
  try {
    lines = await exported(copy)
  } catch (error) {
    assert.ok(error instanceof StoreError && error.code === 'corrupt', `${what}: ${error}`)
    return 'refused'
  }
  if (lines.join() === killed.all.join()) return 'right'
  assert.deepEqual(lines, killed.withoutLast, `${what}: wrong data`)
  return 'cut'
}
