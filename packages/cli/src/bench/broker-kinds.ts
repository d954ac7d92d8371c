// The brokers of a comparison: whether they are there, how they are started with a configuration
// that limits nothing but what their defaults limit, and what they cannot do.

import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { QoS } from '@godwit/packet'
import { VERSION } from '../version.ts'

export interface BrokerKind {
  readonly name: string
  readonly about: string
  /** MQTT 5.0 where it can. */
  readonly level: 4 | 5
  readonly qosMax: QoS
  /** What it says of its version; null where it is not installed. */
  version(): Promise<string | null>
  /** @param folder empty, of its own */
  command(port: number, folder: string): readonly string[]
}

/** Servers are where Debian's users have no path to. */
export function serverPath({ PATH = '' }: NodeJS.ProcessEnv): string {
  return [PATH, '/usr/local/sbin', '/usr/sbin'].filter(folder => folder !== '').join(':')
}

const GODWIT = fileURLToPath(new URL('../../bin/godwit.js', import.meta.url))

const MOSQUITTO_CONFIG = `allow_anonymous true
max_queued_messages 0
set_tcp_nodelay true
`

/** No client library: what Aedes does is measured, not how it is wrapped. */
const AEDES_PROGRAM = `
const { createServer } = require('node:net')
const [path, port] = process.argv.slice(-2)
import(path).then(async ({ Aedes }) => {
  const broker = await Aedes.createBroker()
  createServer({ noDelay: true }, broker.handle).listen(Number(port), '127.0.0.1')
})`

export const BrokerKinds: readonly BrokerKind[] = [
  {
    name: 'godwit',
    about: 'in memory (--data none)',
    level: 5,
    qosMax: 2,
    version: async () => VERSION,
    command: port => godwit(port, 'none'),
  },
  {
    name: 'godwit-durable',
    about: 'acknowledged means on disk (--data)',
    level: 5,
    qosMax: 2,
    version: async () => VERSION,
    command: (port, folder) => godwit(port, join(folder, 'data')),
  },
  {
    name: 'mosquitto',
    about: 'in memory, queues without a limit, TCP_NODELAY',
    level: 5,
    qosMax: 2,
    version: () => versionOf('mosquitto', ['-h'], /mosquitto version (\S+)/),
    command: (port, folder) => {
      const path = join(folder, 'mosquitto.conf')
      writeFileSync(path, `listener ${port} 127.0.0.1\n${MOSQUITTO_CONFIG}`)
      return ['mosquitto', '-c', path]
    },
  },
  {
    name: 'nats',
    about: 'MQTT on JetStream, which keeps QoS 1 messages in files without fsync',
    level: 4,
    qosMax: 1,
    version: () => versionOf('nats-server', ['--version'], /v?(\d\S*)\s*$/),
    command: (port, folder) => {
      const path = join(folder, 'nats.conf')
      const jetStream = `jetstream { store_dir: ${JSON.stringify(join(folder, 'js'))} }`
      const mqtt = `mqtt { host: 127.0.0.1, port: ${port} }`
      writeFileSync(path, `server_name: bench\nlisten: 127.0.0.1:-1\n${jetStream}\n${mqtt}\n`)
      return ['nats-server', '-c', path]
    },
  },
  {
    name: 'aedes',
    about: 'in memory, as it comes',
    level: 4,
    qosMax: 2,
    version: async () => aedes()?.version ?? null,
    command: port => {
      const path = aedes()?.path ?? ''
      return [process.execPath, '-e', AEDES_PROGRAM, path, String(port)]
    },
  },
]

function godwit(port: number, data: string): string[] {
  const flags = ['--port', String(port), '--data', data, '--log-level', 'error']
  return [process.execPath, GODWIT, 'serve', ...flags]
}

async function versionOf(
  command: string,
  args: readonly string[],
  pattern: RegExp,
): Promise<string | null> {
  try {
    const env = { ...process.env, PATH: serverPath(process.env) }
    const { stdout, stderr } = await promisify(execFile)(command, [...args], { env })
    return pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown'
  } catch (error) {
    // Mosquitto's help ends with an exit code of its own.
    const output = String(Reflect.get(error as object, 'stdout') ?? '')
    return pattern.exec(output)?.[1] ?? null
  }
}

/** Aedes is found where npm has put it for this command, or for the folder it is called in. */
function aedes(): { path: string; version: string } | null {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      const require = createRequire(from)
      const path = require.resolve('aedes')
      const text = readFileSync(join(dirname(path), 'package.json'), 'utf8')
      const { version } = JSON.parse(text) as { version: string }
      return { path, version }
    } catch {
      // Not there: the next place, or nowhere.
    }
  }
  return null
}
