// What Godwit costs beside the least that any broker could do on this machine: a program in C that
// only answers and copies (bench/floor/floor.c), once with what it read on disk before it answers.
// The load comes from `godwit bench load`; every server is in a process of its own, started anew
// for each figure, one after the other and in turns.
//
//   npm run bench -- floor [seconds] [rounds] [scenario]
//
// Figures are messages received per CPU second of the server, all its threads together. What they
// are in themselves varies with the machine by more than a half; what they are of the floor less.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { ended, freePort, listening, usageOf } from './processes.ts'

const SECONDS = 3
const ROUNDS = 3
/** Unmeasured, with connections of its own: until then all is compiled. */
const WARMUP_SECONDS = 2

const SOURCE = fileURLToPath(new URL('../../bench/floor/floor.c', import.meta.url))
const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url))
const MOSQUITTO = '/usr/sbin/mosquitto'

interface Scenario {
  readonly name: string
  readonly options: string
  /** Whether a broker that keeps its state on disk has to write for each message. */
  readonly isStored: boolean
}

const Scenarios: readonly Scenario[] = [
  { name: 'QoS 0, 50 pairs', options: '--publishers 50 --window 1000', isStored: false },
  {
    name: 'one message per read, 100 pairs',
    options: '--publishers 100 --window 1',
    isStored: false,
  },
  {
    name: 'QoS 1, 50 pairs',
    options: '--publishers 50 --max-inflight 20 --qos 1',
    isStored: false,
  },
  {
    name: 'QoS 1, kept sessions',
    options: '--publishers 50 --max-inflight 20 --qos 1 --keep-session',
    isStored: true,
  },
  {
    name: 'QoS 2, 50 pairs',
    options: '--publishers 50 --max-inflight 20 --qos 2',
    isStored: false,
  },
]

interface Subject {
  readonly name: string
  readonly isOnDisk: boolean
  start(port: number, directory: string): ChildProcess
}

/** Prints one line per scenario, with the medians of all rounds. */
export async function run(): Promise<void> {
  const [, , , secondsWord, roundsWord, wanted = ''] = process.argv
  const seconds = Number(secondsWord ?? SECONDS)
  const rounds = Number(roundsWord ?? ROUNDS)
  const work = mkdtempSync(join(tmpdir(), 'godwit-bench-floor-'))
  try {
    const floor = join(work, 'floor')
    if (!isCompiled(floor)) {
      console.error('the floor is written in C, and there is no command cc (Debian: gcc)')
      process.exitCode = 1
      return
    }
    const subjects = subjectsOf(floor)
    console.log(`messages per CPU second of the server, medians of ${rounds} x ${seconds} s;`)
    console.log('behind it, of the floor that does as much with the disk\n')
    console.log(`| scenario | ${subjects.map(({ name }) => name).join(' | ')} |`)
    console.log(`|${'---|'.repeat(subjects.length + 1)}`)
    for (const scenario of Scenarios) {
      if (!scenario.name.includes(wanted)) continue
      const figures = await measureAll(subjects, scenario, { seconds, rounds, work })
      console.log(`| ${[scenario.name, ...cells(subjects, scenario, figures)].join(' | ')} |`)
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** @returns whether there is a compiler for it */
function isCompiled(floor: string): boolean {
  try {
    execFileSync('cc', ['-O2', '-o', floor, SOURCE], { stdio: ['ignore', 'ignore', 'inherit'] })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** The two floors are the first. */
function subjectsOf(floor: string): readonly Subject[] {
  const started = (program: string, ...args: string[]): ChildProcess =>
    spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const godwit = (port: number, data: string): ChildProcess =>
    spawn(process.execPath, [GODWIT, 'serve', '--port', String(port), '--data', data], {
      stdio: 'ignore',
    })
  const subjects: Subject[] = [
    { name: 'floor', isOnDisk: false, start: port => started(floor, String(port)) },
    {
      name: 'floor, on disk',
      isOnDisk: true,
      start: (port, directory) => started(floor, String(port), join(directory, 'log')),
    },
    { name: 'godwit, in memory', isOnDisk: false, start: port => godwit(port, 'none') },
    {
      name: 'godwit, on disk',
      isOnDisk: true,
      start: (port, directory) => godwit(port, join(directory, 'data')),
    },
  ]
  // It answers before anything is on disk, whatever it is told.
  if (existsSync(MOSQUITTO)) subjects.push({ name: 'mosquitto', isOnDisk: false, start: mosquitto })
  return subjects
}

function cells(
  subjects: readonly Subject[],
  { isStored }: Scenario,
  figures: readonly number[],
): string[] {
  return subjects.map(({ isOnDisk }, i) => {
    const figure = figures[i] ?? Number.NaN
    if (i < 2) return short(figure)
    const floor = figures[isStored && isOnDisk ? 1 : 0] ?? Number.NaN
    return `${short(figure)} (${(figure / floor).toFixed(2)})`
  })
}

function mosquitto(port: number, directory: string): ChildProcess {
  const file = join(directory, 'mosquitto.conf')
  const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'set_tcp_nodelay true']
  lines.push('max_queued_messages 0')
  writeFileSync(file, `${lines.join('\n')}\n`)
  return spawn(MOSQUITTO, ['-c', file], { stdio: 'ignore' })
}

interface Measuring {
  readonly seconds: number
  readonly rounds: number
  readonly work: string
}

/** @returns one figure per subject, the median of all rounds */
async function measureAll(
  subjects: readonly Subject[],
  { name, options, isStored }: Scenario,
  { seconds, rounds, work }: Measuring,
): Promise<number[]> {
  const found = subjects.map(() => [] as number[])
  for (let round = 0; round < rounds; round++) {
    for (const [index, subject] of subjects.entries()) {
      if (index === 1 && !isStored) continue
      const figure = await measure(subject, options, seconds, work)
      found[index]?.push(figure)
      console.error(`${name}: ${subject.name}, round ${round + 1}: ${short(figure)}`)
    }
  }
  return found.map(all => all.toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN)
}

async function measure(
  subject: Subject,
  options: string,
  seconds: number,
  work: string,
): Promise<number> {
  const directory = mkdtempSync(join(work, 'server-'))
  const port = await freePort()
  const child = subject.start(port, directory)
  const cpuSeconds = (): number => {
    const usage = usageOf(child.pid ?? 0)
    if (usage === null) throw new Error('this benchmark reads /proc, which only Linux has')
    return usage.userSeconds + usage.systemSeconds
  }
  try {
    await listening(port)
    await load(port, options, WARMUP_SECONDS)
    const before = cpuSeconds()
    const received = await load(port, options, seconds)
    return received / (cpuSeconds() - before)
  } finally {
    await ended(child)
    rmSync(directory, { recursive: true, force: true })
  }
}

/** @returns how many messages were received; all that were sent, or it throws */
async function load(port: number, options: string, seconds: number): Promise<number> {
  const words = [GODWIT, 'bench', 'load', '-p', String(port), '-V', '311', ...options.split(' ')]
  words.push('--duration', `${seconds}s`, '--json', '--quiet')
  const tester = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(tester, 'exit')
  const result = JSON.parse(await text(tester.stdout)) as {
    readonly trials: readonly [{ readonly counts: { readonly received: number } }]
  }
  const [code] = (await exit) as [number | null]
  if (code !== 0) throw new Error(`godwit ${words.slice(1).join(' ')} ended with ${code}`)
  return result.trials[0].counts.received
}

function short(figure: number): string {
  if (Number.isNaN(figure)) return '-'
  return figure >= 1e6 ? `${(figure / 1e6).toFixed(2)} M` : `${(figure / 1e3).toFixed(0)} k`
}
