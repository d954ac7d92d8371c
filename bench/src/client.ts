// What @godwit/client costs beside npm's mqtt, at the same broker, which is a process of its own:
// messages per second of the client's processor time, and the memory of ten thousand clients.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { MANY_CLIENTS, type Outcome, type Task } from './client-names.ts'

const SCENARIOS = [
  'publish QoS 0, awaited',
  'publish QoS 0, without a promise',
  'publish QoS 1',
  'publish QoS 2',
  'receive QoS 0, iterator',
  'receive QoS 0, listener',
] as const
const LIMIT_MS = 60_000
const ROUNDS = 3

/** Prints two tables. A second argument takes only the scenarios that contain it. */
export async function run(): Promise<void> {
  const wanted = process.argv[3] ?? ''
  const broker = forkFile('client-broker.js')
  try {
    const { port } = (await answerOf(broker)) as { readonly port: number }
    await runMessages(port, wanted)
    if ('many'.includes(wanted)) await runMany(port)
  } finally {
    broker.kill()
  }
}

async function runMessages(port: number, wanted: string): Promise<void> {
  const scenarios = SCENARIOS.filter(name => name.includes(wanted))
  if (scenarios.length === 0) return
  const columns = `@godwit/client | mqtt | ratio, middle of ${ROUNDS} | lowest | highest`
  console.log(`| messages per second of processor time | ${columns} |`)
  console.log('|---|---:|---:|---:|---:|---:|')
  for (const scenario of scenarios) {
    const ours: number[] = []
    const theirs: number[] = []
    // Turn by turn, so that what else the machine does hits both.
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(rateOf(await measure({ library: 'godwit', scenario, port })))
      theirs.push(rateOf(await measure({ library: 'mqtt', scenario, port })))
    }
    const ratios = ours.map((rate, round) => rate / (theirs[round] ?? Number.NaN))
    const cells = [scenario, rounded(middle(ours)), rounded(middle(theirs))]
    console.log(`| ${[...cells, ...[middle(ratios), ...edges(ratios)].map(short)].join(' | ')} |`)
  }
}

async function runMany(port: number): Promise<void> {
  console.log(`\n| ${MANY_CLIENTS} clients in one process, each | heap | RSS | processor time |`)
  console.log('|---|---:|---:|---:|')
  const rows: readonly (readonly [string, Task])[] = [
    ['@godwit/client without its socket', { library: 'godwit', scenario: 'many in memory', port }],
    ['a socket of Node alone', { library: 'godwit', scenario: 'many sockets', port }],
    ['@godwit/client over TCP', { library: 'godwit', scenario: 'many', port }],
    ['mqtt over TCP', { library: 'mqtt', scenario: 'many', port }],
  ]
  for (const [name, task] of rows) {
    const { count, cpuSeconds, heapBytes, rssBytes } = await measure(task)
    const kilobytes = [heapBytes, rssBytes].map(bytes => `${(bytes / 1000).toFixed(1)} kB`)
    const microseconds = `${((cpuSeconds / count) * 1e6).toFixed(0)} µs`
    console.log(`| ${[name, ...kilobytes, microseconds].join(' | ')} |`)
  }
}

function rateOf({ count, cpuSeconds }: Outcome): number {
  return count / cpuSeconds
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

function edges(values: readonly number[]): number[] {
  return [Math.min(...values), Math.max(...values)]
}

function short(ratio: number): string {
  return ratio.toFixed(1)
}

function rounded(rate: number): string {
  return Number(rate.toPrecision(3)).toLocaleString('en')
}

/** Runs a task in a process of its own. */
async function measure(task: Task): Promise<Outcome> {
  const child = forkFile('client-subject.js', JSON.stringify(task))
  const timer = setTimeout(() => child.kill(), LIMIT_MS)
  try {
    return (await answerOf(child)) as Outcome
  } finally {
    clearTimeout(timer)
    child.kill()
  }
}

function forkFile(file: string, ...args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url))
  return fork(path, args, { execArgv: ['--expose-gc', ...process.execArgv] })
}

/** @throws Error when the process ends instead */
async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`a process has ended with ${code ?? signal} instead of an answer`)
  })
  const [answer] = await Promise.race([once(child, 'message'), ended])
  return answer
}
