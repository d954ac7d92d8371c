// `godwit bench compare-brokers`: starts each broker afresh for each measurement, runs the same
// scenario on all of them in turn, and again, each time beginning with another one.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { CommandFailure, usage } from '../failure.ts'
import { type BrokerKind, BrokerKinds } from './broker-kinds.ts'
import { BrokerProcess, type BrokerWeight } from './broker-process.ts'
import { brokersMarkdown, brokersPage } from './brokers-report.ts'
import {
  BROKERS_FORMAT,
  type BrokersResult,
  type ComparedBroker,
  failureOf,
  type Measurement,
  measurementOf,
} from './brokers-result.ts'
import { runTrial } from './coordinator.ts'
import { isSet, type ParsedFlags, parseFlags, text } from './flags.ts'
import { formatRate, formatUs } from './numbers.ts'
import { loadSettings, pingSettings } from './options.ts'
import { writeFiles } from './output-files.ts'
import type { Progress } from './progress.ts'
import { parseNumber } from './quantities.ts'
import { hostFacts } from './run.ts'
import { type Scenario, Scenarios } from './scenarios.ts'
import type { LoadSettings } from './settings.ts'

interface Wish {
  readonly kinds: readonly BrokerKind[]
  readonly scenarios: readonly Scenario[]
  readonly seconds: number
  readonly repeats: number
  readonly folder: string | null
}

const WARMUP_SECONDS = 1
const NOT_CONNECTED = 3
const NOT_SO_HIGH = 'has no such QoS'

/**
 * @returns the exit code: what a broker loses is in the report and is no error of the comparison
 */
export async function compareBrokers(
  { values, words }: ParsedFlags,
  commandLine: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  if (words.length > 0) usage(`no option takes ${JSON.stringify(words[0])}`)
  if (isSet(values, 'list')) {
    for (const { name, about } of BrokerKinds) console.log(`${name.padEnd(16)}${about}`)
    for (const { name, about } of Scenarios) console.log(`${name.padEnd(16)}${about}`)
    return 0
  }
  const wish: Wish = {
    kinds: chosen('--brokers', text(values, 'brokers'), BrokerKinds),
    scenarios: chosen('--scenarios', text(values, 'scenarios'), Scenarios),
    seconds: parseNumber('--seconds', text(values, 'seconds') ?? '4', 1, 3600),
    repeats: parseNumber('--repeat', text(values, 'repeat') ?? '3', 1, 100),
    folder: folderOf(text(values, 'output')),
  }
  const result = await measureAll(wish, commandLine, progress, signal)
  // Whatever becomes of the files.
  console.log(isSet(values, 'json') ? JSON.stringify(result, null, 2) : brokersMarkdown(result))
  if (wish.folder !== null) {
    await writeFiles([
      [join(wish.folder, 'report.json'), () => `${JSON.stringify(result, null, 2)}\n`],
      [join(wish.folder, 'report.md'), () => brokersMarkdown(result)],
      [join(wish.folder, 'report.html'), () => brokersPage(result)],
    ])
    progress.say(`wrote report.json, report.md and report.html to ${wish.folder}`)
  }
  return signal.aborted ? 130 : 0
}

/** The folder is made, and takes files, before hours are spent on what goes there. */
function folderOf(path: string | undefined): string | null {
  if (path === undefined) return null
  try {
    mkdirSync(path, { recursive: true })
    rmSync(mkdtempSync(join(path, '.godwit-')), { recursive: true })
  } catch (error) {
    usage(`--output: ${path} takes no files (${(error as NodeJS.ErrnoException).code})`)
  }
  return path
}

function chosen<T extends { readonly name: string }>(
  option: string,
  list: string | undefined,
  all: readonly T[],
): readonly T[] {
  if (list === undefined) return all
  return list.split(',').map(name => {
    const found = all.find(one => one.name === name.trim())
    if (found !== undefined) return found
    return usage(`${option} knows ${all.map(one => one.name).join(', ')}, not ${name.trim()}`)
  })
}

async function measureAll(
  wish: Wish,
  commandLine: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<BrokersResult> {
  const startedAt = new Date().toISOString()
  const [loadAverage = 0] = loadavg()
  const { kinds, missing, brokers } = await installed(wish.kinds)
  if (kinds.length === 0) {
    throw new CommandFailure(`none of ${missing.join(', ')} is installed`, NOT_CONNECTED)
  }
  for (const { name, version } of brokers) progress.say(`${name.padEnd(16)}${version}`)
  for (const name of missing) progress.say(`${name.padEnd(16)}is not installed`)
  const measurements: Measurement[] = []
  for (const scenario of wish.scenarios) {
    for (let repeat = 0; repeat < wish.repeats; repeat++) {
      // Whoever is first finds another machine than whoever is last: they take turns.
      const turn = kinds.map((_, i) => kinds[(i + repeat) % kinds.length])
      for (const kind of turn) {
        if (kind === undefined || signal.aborted) continue
        const measurement = await measureOnce(kind, scenario, repeat, wish.seconds, signal)
        measurements.push(measurement)
        progress.say(measurementLine(measurement))
      }
    }
  }
  return {
    format: BROKERS_FORMAT,
    startedAt,
    commandLine,
    host: hostFacts(),
    loadAverage,
    seconds: wish.seconds,
    repeats: wish.repeats,
    brokers,
    missing,
    scenarios: wish.scenarios.map(({ name, about, isOpenLoop }) => ({ name, about, isOpenLoop })),
    measurements,
  }
}

async function installed(wished: readonly BrokerKind[]): Promise<{
  kinds: BrokerKind[]
  missing: string[]
  brokers: ComparedBroker[]
}> {
  const kinds: BrokerKind[] = []
  const missing: string[] = []
  const brokers: ComparedBroker[] = []
  for (const kind of wished) {
    const version = await kind.version()
    if (version === null) {
      missing.push(kind.name)
      continue
    }
    kinds.push(kind)
    const { name, about, level } = kind
    const protocol = level === 5 ? 'MQTT 5.0' : 'MQTT 3.1.1'
    const [command = ''] = kind.name.startsWith('godwit') ? ['godwit serve'] : [kind.name]
    brokers.push({ name, version, about, protocol, command })
  }
  return { kinds, missing, brokers }
}

async function measureOnce(
  kind: BrokerKind,
  scenario: Scenario,
  repeat: number,
  seconds: number,
  signal: AbortSignal,
): Promise<Measurement> {
  const where = { scenario: scenario.name, broker: kind.name, repeat }
  if (scenario.qos > kind.qosMax) return failureOf(where, NOT_SO_HIGH)
  let broker: BrokerProcess | null = null
  try {
    const started = await BrokerProcess.start(kind)
    broker = started
    const weigh = (): BrokerWeight => started.weigh()
    let before = weigh()
    let after = before
    const watcher = {
      connecting: () => undefined,
      connected: () => {
        before = weigh()
      },
      interval: () => undefined,
      draining: () => undefined,
      settled: () => {
        after = weigh()
      },
    }
    const trial = await runTrial(settingsOf(kind, scenario, broker.port, seconds), watcher, signal)
    const cpuSeconds =
      before.cpuSeconds === null || after.cpuSeconds === null
        ? null
        : after.cpuSeconds - before.cpuSeconds
    return measurementOf(where, { trial, cpuSeconds, memoryBytes: after.memoryBytes })
  } catch (error) {
    return failureOf(where, (error as Error).message)
  } finally {
    await broker?.stop()
  }
}

function settingsOf(
  kind: BrokerKind,
  scenario: Scenario,
  port: number,
  seconds: number,
): LoadSettings {
  const times = ['--duration', `${seconds}s`, '--warmup', `${WARMUP_SECONDS}s`, '--drain', '2s']
  const where = ['--host', '127.0.0.1', '--port', String(port), '--seed', '1']
  const protocol = ['--protocol-version', kind.level === 5 ? '5' : '311']
  const words = [...scenario.options.split(' '), ...times, ...where, ...protocol]
  const parsed = parseFlags(scenario.command, words)
  return scenario.command === 'ping' ? pingSettings(parsed, '') : loadSettings(parsed, '')
}

function measurementLine(one: Measurement): string {
  const head = `${one.scenario.padEnd(14)}${one.broker.padEnd(16)}`
  if (one.failure !== null) return `${head}${one.failure}`
  const rate = `${formatRate(one.receivedPerSecond ?? 0)}/s`.padStart(9)
  const cpu = one.perCpuSecond === null ? '-' : `${formatRate(one.perCpuSecond)}/cpu s`
  const times = `p50 ${formatUs(one.p50)}  p99 ${formatUs(one.p99)}`
  const lost = one.lost === 0 ? '' : `  lost ${one.lost}`
  return `${head}${rate}  ${cpu.padStart(12)}  ${times}${lost}`
}
