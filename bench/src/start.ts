// How long the command takes to start, for each of its commands: wall time beside a Node that does
// nothing. They take turns, so that what else the machine does disturbs all alike. The goal is
// 150 ms on a machine that does nothing else.
//
//   npm run bench -- start        every command, 15 times
//   npm run bench -- start 40     as often as it says

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createBroker } from '@godwit/broker'

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url))
const DEFAULT_ROUNDS = 15
const GOAL_MS = 150
/** Nothing listens there: all but the broker's part is done. */
const REFUSED = ['-p', '1']

interface Started {
  readonly name: string
  readonly args: readonly string[]
  /** It has started when it prints this; without it when it ends. */
  readonly until?: string
}

export async function run(): Promise<void> {
  const rounds = Number(process.argv[3] ?? DEFAULT_ROUNDS)
  const folder = mkdtempSync(join(tmpdir(), 'godwit-start-'))
  const broker = createBroker()
  try {
    const { port } = await broker.listen({ port: 0 })
    broker.publish('a', 'b', { retain: true })
    report(await measured(commands(String(port), folder), rounds), rounds)
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
  return [
    { name: 'node, nothing else', args: ['-e', '0'] },
    godwit('--version'),
    godwit('--help'),
    named('pub, delivered', 'pub', '-p', port, 'c', 'd'),
    named('sub, one message', 'sub', '-p', port, '-C', '1', 'a'),
    named('rr, refused', 'rr', ...REFUSED, '-t', 'a', '-e', 'b', '-m', 'c'),
    named('replay, refused', 'replay', '/dev/null', ...REFUSED),
    named('check, refused', 'check', ...REFUSED),
    named('ticktock, refused', 'ticktock', '-host', 'localhost:1'),
    godwit('pub', '--help'),
    godwit('passwd', '--help'),
    godwit('completion', 'bash'),
    named('export, no store', 'export', '--data', join(folder, 'missing')),
    named('serve --check', 'serve', '--check', '--data', 'none'),
    named('serve --check --config', 'serve', '--check', '--config', config),
    listens('serve, listens (memory)', '--data', 'none'),
    listens('serve, listens (disk)', '--data', join(folder, 'data')),
    godwit('bench', 'load', '--help'),
    named('bench ping, refused', 'bench', 'ping', ...REFUSED, '--pairs', '1', '--wsubs', '0'),
    named('bench load, refused', 'bench', 'load', ...REFUSED, '--conns', '2'),
    named('bench many, refused', 'bench', 'many', ...REFUSED, '--conns', '1'),
    named('bench compare-brokers', 'bench', 'compare-brokers', '--list'),
  ]
}

async function measured(all: readonly Started[], rounds: number): Promise<Map<string, number[]>> {
  const times = new Map(all.map(({ name }) => [name, [] as number[]]))
  // The first round makes files and fills caches.
  for (let round = 0; round <= rounds; round++) {
    for (const one of all) {
      const ms = await started(one)
      if (round > 0) times.get(one.name)?.push(ms)
    }
  }
  return times
}

/** @returns milliseconds from its start until it has started */
function started({ args, until }: Started): Promise<number> {
  const fromMs = performance.now()
  const stdout = until === undefined ? 'ignore' : 'pipe'
  const child = spawn(process.execPath, args, { stdio: ['ignore', stdout, 'ignore'] })
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
    child.on('exit', () => resolve(tookMs > 0 ? tookMs : performance.now() - fromMs))
  })
}

function report(times: ReadonlyMap<string, number[]>, rounds: number): void {
  console.log(`${rounds} runs each, in turn; wall time in ms; the goal is ${GOAL_MS}`)
  console.log(`${'command'.padEnd(26)}${'least'.padStart(8)}${'median'.padStart(8)}`)
  for (const [name, unsorted] of times) {
    const sorted = unsorted.toSorted((a, b) => a - b)
    const [least = 0] = sorted
    const median = sorted[sorted.length >> 1] ?? 0
    const mark = median > GOAL_MS ? '  over' : ''
    const figures = least.toFixed(0).padStart(8) + median.toFixed(0).padStart(8)
    console.log(name.padEnd(26) + figures + mark)
  }
}
