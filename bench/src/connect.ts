// What it costs to open sessions (TCP, CONNECT, SUBSCRIBE) and to close them: Godwit beside a bare
// server in Node that answers with constants, and Mosquitto where it is installed. Each in a
// process of its own that is started anew in each round, one after the other.
//
//   npm run bench -- connect [sessions] [rounds] [level of MQTT, 4 or 5]
//
// Sources are spread over many addresses: from one alone the system looks for a free port longer
// than a broker needs for the session. Seconds of processors are those of the server, all its
// threads together, and count more than the wall's: the machine also runs the clients.

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeAll, type OpenSession, openAll } from './connect-clients.ts'
import { ended, freePort, listening, type Usage, usageOf } from './processes.ts'

const SESSIONS = 10_000
const ROUNDS = 5
const SETTLE_MS = 1000

interface Subject {
  readonly name: string
  readonly program?: string
  start(port: number, directory: string): ChildProcess
}

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url))
const BARE = fileURLToPath(new URL('./connect-bare.js', import.meta.url))
const MOSQUITTO = '/usr/sbin/mosquitto'

const Subjects: readonly Subject[] = [
  { name: 'bare Node', start: port => fork(BARE, [String(port)], { stdio: 'ignore' }) },
  { name: 'godwit, in memory', start: port => godwit(port, 'none') },
  { name: 'godwit, on disk', start: (port, directory) => godwit(port, join(directory, 'data')) },
  { name: 'mosquitto', program: MOSQUITTO, start: mosquitto },
]

function godwit(port: number, data: string): ChildProcess {
  const args = [GODWIT, 'serve', '--port', String(port), '--data', data]
  return spawn(process.execPath, args, { stdio: 'ignore' })
}

function mosquitto(port: number, directory: string): ChildProcess {
  const file = join(directory, 'mosquitto.conf')
  const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'set_tcp_nodelay true']
  writeFileSync(file, `${lines.join('\n')}\n`)
  return spawn(MOSQUITTO, ['-c', file], { stdio: 'ignore' })
}

/** Of one round; in microseconds of processors per session where nothing else is said. */
interface Figures {
  readonly openedPerSecond: number
  readonly user: number
  readonly system: number
  readonly bytes: number
  readonly closing: number
  /** Opened again when the first were closed: what was compiled at first is there. */
  readonly again: number
}

/** Prints one line per server, with the medians of all rounds. */
export async function run(): Promise<void> {
  const [, , , ...words] = process.argv
  const [sessions = SESSIONS, rounds = ROUNDS, level = 4] = words.map(Number)
  const subjects = Subjects.filter(({ program }) => program === undefined || existsSync(program))
  const found = subjects.map(() => [] as Figures[])
  for (let round = 0; round < rounds; round++) {
    for (const [index, subject] of subjects.entries()) {
      const figures = await measure(subject, sessions, level === 5 ? 5 : 4)
      found[index]?.push(figures)
      const { openedPerSecond, user, system } = figures
      const cost = `${openedPerSecond.toFixed(0)} opened/s, ${(user + system).toFixed(0)} us each`
      console.error(`round ${round + 1} of ${rounds}  ${subject.name}: ${cost}`)
    }
  }
  console.log(`${sessions} sessions, MQTT level ${level}, medians of ${rounds} rounds\n`)
  const titles = ['server', 'opened/s', 'per CPU second', 'of bare', 'user us', 'system us']
  titles.push('bytes each', 'closing us', 'again us')
  console.log(`| ${titles.join(' | ')} |\n|${'---|'.repeat(titles.length)}`)
  const bare = cost(found[0] ?? [])
  for (const [index, { name }] of subjects.entries()) {
    const all = found[index] ?? []
    const of = (key: keyof Figures): string => median(all.map(figures => figures[key])).toFixed(0)
    const rate = (1e6 / cost(all)).toFixed(0)
    const share = (bare / cost(all)).toFixed(2)
    const rest = (['user', 'system', 'bytes', 'closing', 'again'] as const).map(of)
    console.log(`| ${[name, of('openedPerSecond'), rate, share, ...rest].join(' | ')} |`)
  }
}

function cost(all: readonly Figures[]): number {
  return median(all.map(({ user, system }) => user + system))
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

async function measure(subject: Subject, sessions: number, level: 4 | 5): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-bench-connect-'))
  const port = await freePort()
  const child = subject.start(port, directory)
  try {
    await listening(port)
    const settled = async (): Promise<Usage> => {
      await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
      const usage = usageOf(child.pid ?? 0)
      if (usage === null) throw new Error('this benchmark reads /proc, which only Linux has')
      return usage
    }
    const open = (): Promise<OpenSession[]> => openAll({ port, sessions, level })
    const before = await settled()
    const startedMs = performance.now()
    const first = await open()
    const seconds = (performance.now() - startedMs) / 1000
    const opened = await settled()
    await closeAll(first, level)
    const closed = await settled()
    const second = await open()
    const again = await settled()
    await closeAll(second, level)
    const each = (from: number, to: number): number => ((to - from) / sessions) * 1e6
    return {
      openedPerSecond: sessions / seconds,
      user: each(before.userSeconds, opened.userSeconds),
      system: each(before.systemSeconds, opened.systemSeconds),
      bytes: (opened.residentBytes - before.residentBytes) / sessions,
      closing: each(total(opened), total(closed)),
      again: each(total(closed), total(again)),
    }
  } finally {
    await ended(child)
    rmSync(directory, { recursive: true, force: true })
  }
}

function total({ userSeconds, systemSeconds }: Usage): number {
  return userSeconds + systemSeconds
}
