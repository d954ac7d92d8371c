// The brokers of the benchmark `store`, each in a process of its own with its data on disk, and
// what its acknowledgement stands for.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ended, freePort, listening } from './processes.ts'
import type { Stall } from './store-broker.ts'

export interface Running {
  readonly port: number
  /** @returns what it was since the last call; null: it has no event loop that could be asked */
  stall(): Promise<Stall | null>
  stop(): Promise<void>
}

export interface Subject {
  readonly name: string
  /** What has happened to a message when its PUBACK comes. */
  readonly promise: string
  /** The program that must be there. */
  readonly program?: string
  start(directory: string): Promise<Running>
}

export const Subjects: readonly Subject[] = [
  {
    name: 'godwit, on disk',
    promise: 'synced to disk',
    start: directory => startGodwit(join(directory, 'data')),
  },
  { name: 'godwit, in memory', promise: 'nothing is kept', start: () => startGodwit('') },
  {
    name: 'mosquitto, persistence',
    promise: 'in memory; a snapshot every 30 min and at the end',
    program: '/usr/sbin/mosquitto',
    start: startMosquitto,
  },
  {
    name: 'nats, file store',
    promise: 'written to a file, synced by a timer of a minute or more',
    program: '/usr/sbin/nats-server',
    start: startNats,
  },
]

async function startGodwit(directory: string): Promise<Running> {
  const program = fileURLToPath(new URL('./store-broker.js', import.meta.url))
  const child = fork(program, [directory])
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const stall = async (): Promise<Stall> => {
    child.send('stall')
    const [answer] = (await once(child, 'message')) as [Stall]
    return answer
  }
  return { port, stall, stop: () => ended(child) }
}

async function startMosquitto(directory: string): Promise<Running> {
  const port = await freePort()
  const file = join(directory, 'mosquitto.conf')
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence true',
    `persistence_location ${directory}/`,
    'max_queued_messages 0',
    'set_tcp_nodelay true',
    'user root',
  ]
  writeFileSync(file, lines.join('\n'))
  return await started('/usr/sbin/mosquitto', file, port)
}

/** Its version on Debian has no option that would sync before the acknowledgement. */
async function startNats(directory: string): Promise<Running> {
  const port = await freePort()
  const file = join(directory, 'nats.conf')
  const lines = [
    'server_name: bench',
    'listen: "127.0.0.1:-1"',
    `jetstream { store_dir: "${join(directory, 'jetstream')}" }`,
    `mqtt { listen: "127.0.0.1:${port}", max_ack_pending: 65535 }`,
  ]
  writeFileSync(file, lines.join('\n'))
  return await started('/usr/sbin/nats-server', file, port)
}

async function started(program: string, file: string, port: number): Promise<Running> {
  const child = spawn(program, ['-c', file], { stdio: 'ignore' })
  await listening(port)
  return { port, stall: () => Promise.resolve(null), stop: () => ended(child) }
}

export function isThere({ program }: Subject): boolean {
  return program === undefined || existsSync(program)
}
