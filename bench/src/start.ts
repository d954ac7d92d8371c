// How long the command takes to start, for each of its commands: wall time, and processor time of
// all threads to its end, beside a Node that does nothing. They take turns, so that what else the
// machine does disturbs all alike. The goal is 150 ms of wall time on a machine that does nothing
// else, from the second run of a command on: the first compiles its code and keeps it
// (packages/cli/bin/code-cache.js), and has a column of its own, of processor time. A variable
// NODE_EXTRA_CA_CERTS is not handed on: Node reads all of such a file before anything else, 40 ms
// for the authorities of Debian.
//
//   npm run bench -- start        every command, 15 times
//   npm run bench -- start 40     as often as it says

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createBroker } from '@godwit/broker'

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url))
const CODE = join(dirname(GODWIT), '../dist/bundle/cache')
const DEFAULT_ROUNDS = 15
const GOAL_MS = 150
/** Nothing listens there: all but the broker's part is done. */
const REFUSED = ['-p', '1']

/** Loaded before everything: says at the end what the process has cost. */
const WITNESS = `process.on('exit', () => {
  const { user, system } = process.cpuUsage()
  require('node:fs').writeFileSync(process.env.GODWIT_COST, String((user + system) / 1000))
})
`

interface Cost {
  readonly wallMs: number
  readonly cpuMs: number
}

interface Started {
  readonly name: string
  readonly args: readonly string[]
  /** It has started when it prints this; without it when it ends. */
  readonly until?: string
  /** What is deleted before. */
  readonly without?: string
  /** A run that fails keeps no code. This one does not, and needs the same. */
  readonly before?: readonly string[]
}

export async function run(): Promise<void> {
  const rounds = Number(process.argv[3] ?? DEFAULT_ROUNDS)
  const folder = mkdtempSync(join(tmpdir(), 'godwit-start-'))
  const broker = createBroker()
  try {
    const { port } = await broker.listen({ port: 0 })
    broker.publish('a', 'b', { retain: true })
    report(await measured(commands(String(port), folder), rounds, folder), rounds)
  } finally {
    await broker.close({ drainSeconds: 0 })
    rmSync(folder, { recursive: true, force: true })
  }
}

function commands(port: string, folder: string): Started[] {
  const config = join(folder, 'godwit.yaml')
  writeFileSync(config, 'data: none\nlisteners:\n  - port: 0\n')
  const godwit = (...args: string[]): Started => ({ name: args.join(' '), args: [GODWIT, ...args] })
  const named = (name: string, ...args: string[]): Started => ({ ...godwit(...args), name })
  const listens = (name: string, ...args: string[]): Started => {
    return { ...named(name, 'serve', '--port', '0', ...args), until: 'listening on' }
  }
  const refused = (name: string, words: string, succeeds: string): Started => ({
    ...named(`${name}, refused`, ...name.split(' '), ...REFUSED, ...words.split(' ')),
    before: [GODWIT, ...name.split(' '), '-p', port, ...succeeds.split(' ')],
  })
  return [
    { name: 'node, nothing else', args: ['-e', '0'] },
    godwit('--version'),
    godwit('--help'),
    named('pub, delivered', 'pub', '-p', port, 'c', 'd'),
    named('sub, one message', 'sub', '-p', port, '-C', '1', 'a'),
    refused('rr', '-t a -e b -m c', '-t a -e a -m c'),
    named('replay, nothing', 'replay', '/dev/null', '-p', port),
    refused('check', '--json', '--json'),
    named('ticktock, refused', 'ticktock', '-host', 'localhost:1'),
    godwit('pub', '--help'),
    godwit('passwd', '--help'),
    godwit('completion', 'bash'),
    named('export, no store', 'export', '--data', join(folder, 'missing')),
    named('serve --check', 'serve', '--check', '--data', 'none'),
    named('serve --check --config', 'serve', '--check', '--config', config),
    listens('serve, listens (memory)', '--data', 'none'),
    listens('serve, listens (disk)', '--data', join(folder, 'data')),
    {
      ...listens('serve, a new store', '--data', join(folder, 'new')),
      without: join(folder, 'new'),
    },
    godwit('bench', 'load', '--help'),
    refused('bench ping', '--pairs 1 --wsubs 0', '--pairs 1 --wsubs 0'),
    refused('bench load', '--conns 2', '--conns 2'),
    refused('bench many', '--conns 1', '--conns 1 --hold 1s'),
    named('bench compare-brokers', 'bench', 'compare-brokers', '--list'),
  ]
}

async function measured(
  all: readonly Started[],
  rounds: number,
  folder: string,
): Promise<Map<string, Cost[]>> {
  const costs = new Map(all.map(({ name }) => [name, [] as Cost[]]))
  writeFileSync(join(folder, 'witness.cjs'), WITNESS)
  // The first round makes files and keeps code.
  rmSync(CODE, { recursive: true, force: true })
  for (let round = 0; round <= rounds; round++) {
    for (const one of all) costs.get(one.name)?.push(await started(one, folder))
    if (round > 0) continue
    for (const { name, before } of all) {
      if (before !== undefined) await started({ name, args: before }, folder)
    }
  }
  return costs
}

/** @returns milliseconds from its start until it has started, and all that it cost */
function started({ args, until, without }: Started, folder: string): Promise<Cost> {
  if (without !== undefined) rmSync(without, { recursive: true, force: true })
  const costFile = join(folder, 'cost')
  const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env
  const env = {
    ...environment,
    NODE_OPTIONS: `--require ${join(folder, 'witness.cjs')}`,
    GODWIT_COST: costFile,
  }
  const fromMs = performance.now()
  const stdout = until === undefined ? 'ignore' : 'pipe'
  const child = spawn(process.execPath, args, { stdio: ['ignore', stdout, 'ignore'], env })
  let output = ''
  let tookMs = 0
  child.stdout?.on('data', chunk => {
    output += String(chunk)
    if (tookMs > 0 || until === undefined || !output.includes(until)) return
    tookMs = performance.now() - fromMs
    child.kill('SIGTERM')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', () => {
      const wallMs = tookMs > 0 ? tookMs : performance.now() - fromMs
      resolve({ wallMs, cpuMs: Number(readFileSync(costFile, 'utf8')) })
    })
  })
}

function report(costs: ReadonlyMap<string, Cost[]>, rounds: number): void {
  console.log(`${rounds} runs each, in turn; milliseconds; the goal is ${GOAL_MS}`)
  console.log(row('command', ['least', 'median', 'cpu', 'first cpu']))
  for (const [name, [first, ...rest]] of costs) {
    const wall = rest.map(({ wallMs }) => wallMs).sort((a, b) => a - b)
    const median = wall[wall.length >> 1] ?? 0
    const cpuMs = Math.min(...rest.map(cost => cost.cpuMs))
    const figures = [wall[0] ?? 0, median, cpuMs, first?.cpuMs ?? 0].map(ms => ms.toFixed(0))
    console.log(row(name, figures) + (median > GOAL_MS ? '  over' : ''))
  }
}

function row(name: string, cells: readonly string[]): string {
  return name.padEnd(26) + cells.map(cell => cell.padStart(10)).join('')
}
