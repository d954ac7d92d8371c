// A broker that starts with a million sessions on disk, a filter and a queued message for each: how
// long the import of them takes, how long the start, and how much memory it holds.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { encodePacket, NO_PROPERTIES, PacketType } from '@godwit/packet'
import { ended, freePort, listening } from './processes.ts'

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url))
const SESSIONS = 1_000_000
const LINES_PER_CHUNK = 1000
/** The memory of the start is given back by then, or not at all. */
const SETTLED_MS = 10_000

export async function run(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-bench-stored-'))
  const data = join(directory, 'data')
  try {
    const importedAfter = clock()
    await imported(data)
    console.log(`| ${SESSIONS} sessions, filters, messages and deliveries | |\n|---|---:|`)
    console.log(`| import | ${importedAfter()} |`)
    for (const round of ['first', 'second']) await started(data, round)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function imported(data: string): Promise<void> {
  const command = [GODWIT, 'import', '--data', data]
  const child = spawn(process.execPath, command, { stdio: ['pipe', 'ignore', 'inherit'] })
  const exit = once(child, 'exit')
  if (child.stdin === null) throw new Error('the import has no input')
  await pipeline(Readable.from(chunks()), child.stdin)
  const [code] = await exit
  if (code !== 0) throw new Error(`the import ended with ${code}`)
}

async function started(data: string, round: string): Promise<void> {
  const port = await freePort()
  const after = clock()
  const command = [GODWIT, 'serve', '--port', String(port), '--data', data]
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    await listening(port)
    const listens = after()
    const there = megabytes(child)
    await answered(port)
    await new Promise(resolve => setTimeout(resolve, SETTLED_MS))
    console.log(`| ${round} start: listens after | ${listens} |`)
    console.log(
      `| resident then, and ${SETTLED_MS / 1000} s later | ${there}, ${megabytes(child)} |`,
    )
  } finally {
    await ended(child)
  }
}

/** One of them returns and receives its message: they are really there. */
async function answered(port: number): Promise<void> {
  const number = SESSIONS - 1
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const type = PacketType.CONNECT
  const nobody = { will: null, username: null, password: null, bridge: false } as const
  const rest = { protocolLevel: 4, keepAliveSeconds: 0, properties: NO_PROPERTIES } as const
  const who = { clientId: clientId(number), cleanStart: false } as const
  socket.write(encodePacket({ type, ...who, ...nobody, ...rest }, 4))
  let text = ''
  while (!text.includes(payload(number))) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    text += chunk.toString('latin1')
  }
  socket.destroy()
}

function* chunks(): Generator<string> {
  const atMs = Date.now()
  yield line({ type: 'godwit-export', version: 1, at: new Date(atMs).toISOString() })
  const kinds = [session, subscription, message, delivery]
  for (const kind of kinds) {
    for (let first = 0; first < SESSIONS; first += LINES_PER_CHUNK) {
      const lines = Array.from({ length: LINES_PER_CHUNK }, (_, i) => line(kind(first + i, atMs)))
      yield lines.join('')
    }
  }
  yield line({ type: 'end', records: kinds.length * SESSIONS })
}

function session(number: number, atMs: number): object {
  const expiry = { sessionExpirySeconds: 604_800, disconnectedAtMs: atMs }
  return {
    type: 'session',
    id: number + 1,
    clientId: clientId(number),
    protocolLevel: 4,
    ...expiry,
  }
}

function subscription(number: number): object {
  const options = { noLocal: false, retainAsPublished: false, retainHandling: 0, identifier: 0 }
  return { type: 'subscription', session: number + 1, filter: topic(number), qos: 1, ...options }
}

function message(number: number): object {
  const words = { topic: topic(number), qos: 1, retain: false, payload: payload(number) }
  const from = { protocolLevel: 4, expiresAtMs: 0, publisher: 'publisher' }
  return { type: 'message', id: number + 1, ...from, ...words }
}

function delivery(number: number): object {
  const state = { qos: 1, retain: false, identifiers: [], packetId: 0, state: 'waiting' }
  return { type: 'delivery', session: number + 1, sequence: 1, message: number + 1, ...state }
}

function clientId(number: number): string {
  return `device-${number}`
}

function topic(number: number): string {
  return `devices/${number}/commands`
}

function payload(number: number): string {
  return `{"command":"open","number":${number}}`
}

function line(record: object): string {
  return `${JSON.stringify(record)}\n`
}

function clock(): () => string {
  const startedMs = performance.now()
  return () => `${((performance.now() - startedMs) / 1000).toFixed(1)} s`
}

function megabytes(child: ChildProcess): string {
  const text = readFileSync(`/proc/${child.pid}/status`, 'latin1')
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? Number.NaN)
  return `${Math.round(kilobytes / 1000)} MB`
}
