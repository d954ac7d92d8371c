// Brokers to run the suite against, each in the way its documentation starts it and with nothing
// set that would change what the standard says: ours, Debian's Mosquitto, npm's Aedes.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBroker, VERSION } from '@godwit/broker'
import { Aedes } from 'aedes'
import { freePorts, untilListening } from '../support/listening.ts'
import type { Address } from './wire.ts'

const HOST = '127.0.0.1'
const MOSQUITTO = '/usr/sbin/mosquitto'

export interface Peer {
  readonly name: string
  /** What this machine lacks to start it; undefined: nothing. */
  readonly missing: string | undefined
  start(): Promise<RunningPeer>
}

export interface RunningPeer {
  readonly version: string
  readonly address: Address
  stop(): Promise<void>
}

export const PEERS: readonly Peer[] = [
  { name: 'Godwit', missing: undefined, start: startGodwit },
  {
    name: 'Mosquitto',
    missing: existsSync(MOSQUITTO) ? undefined : 'mosquitto',
    start: () => startMosquitto(),
  },
  { name: 'Aedes', missing: undefined, start: startAedes },
]

async function startGodwit(): Promise<RunningPeer> {
  const broker = createBroker()
  const { port } = await broker.listen({ port: 0 })
  return {
    version: VERSION,
    address: { host: HOST, port },
    stop: () => broker.close({ drainSeconds: 0 }),
  }
}

/** @param settings lines of its configuration besides those that let everybody in */
export async function startMosquitto(settings: readonly string[] = []): Promise<RunningPeer> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-conformance-'))
  const [port = 0] = await freePorts(1)
  const config = join(folder, 'mosquitto.conf')
  const lines = [`listener ${port} ${HOST}`, 'allow_anonymous true', ...settings, '']
  writeFileSync(config, lines.join('\n'))
  const child = spawn(MOSQUITTO, ['-c', config], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  await untilListening(child, { port, host: HOST })
  return {
    version: mosquittoVersion(),
    address: { host: HOST, port },
    stop: async () => {
      child.kill('SIGTERM')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function mosquittoVersion(): string {
  try {
    execFileSync(MOSQUITTO, ['-h'], { encoding: 'utf8' })
    return ''
  } catch (error) {
    // It prints its help and ends with 3.
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    return /mosquitto version (\S+)/.exec(output)?.[1] ?? ''
  }
}

export async function startAedes(): Promise<RunningPeer> {
  const aedes = await Aedes.createBroker()
  const server = createServer(aedes.handle)
  await listening(server)
  const manifest = new URL('package.json', import.meta.resolve('aedes'))
  return {
    version: (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version,
    address: { host: HOST, port: portOf(server) },
    stop: async () => {
      const closed = once(server, 'close')
      await new Promise<void>(resolve => aedes.close(() => resolve()))
      server.close()
      await closed
    },
  }
}

async function listening(server: Server): Promise<void> {
  server.listen(0, HOST)
  await once(server, 'listening')
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
