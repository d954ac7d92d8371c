// The command `godwit bench`: which tester runs, what it is told, where its report goes.

import { CommandFailure, USAGE, usage } from '../failure.ts'
import { nearest } from '../nearest.ts'
import { errorStream } from '../output/streams.ts'
import { type BenchCommand, helpOf, isSet, type ParsedFlags, parseFlags, text } from './flags.ts'
import { outputSettings } from './options.ts'
import type { RunResult } from './result.ts'
import type { OutputSettings } from './settings.ts'

const Helps: Readonly<Record<BenchCommand, readonly [first: string, examples: string]>> = {
  ping: [
    'godwit bench ping: round trips of pairs of clients that bounce a message',
    `
  godwit bench ping
  godwit bench ping --pairs 10 --wsubs 0 --messages 10000 --qos 1
  godwit bench ping --pairs 50 --rate 5k/s --duration 30s --html ping.html`,
  ],
  load: [
    'godwit bench load: throughput and latency, one to one, fan-out, fan-in or shared',
    `
  godwit bench load
  godwit bench load --publishers 50 --rate 50k/s --duration 60s --warmup 5s --qos 1
  godwit bench load --fan fan-out --subscribers 1000 --rate 100/s --slo 'response.p99 < 50ms'
  godwit bench load --find-capacity 'response.p99 < 20ms'`,
  ],
  many: [
    'godwit bench many: very many sessions that each say something now and then',
    `
  godwit bench many --conns 10000 --wait 0 --hold 2m --qos 1
  godwit bench many --conns 100000 --processes 8 --source-address 127.0.0.1-127.0.0.8 --wait 0
  godwit bench many --conns 10000 --wait 0 --storm '50% every 30s' devices/{client} hello`,
  ],
  compare: [
    'godwit bench compare: what is different between two results, and whether it matters',
    `
  godwit bench compare before.json after.json
  godwit bench compare before.json after.json --fail-on 'response.p99 > +10%'`,
  ],
  report: [
    'godwit bench report: a result that was written with --output, again',
    `
  godwit bench report run.json --html run.html`,
  ],
  'compare-brokers': [
    'godwit bench compare-brokers: the same scenarios on every broker that is installed',
    `
  godwit bench compare-brokers --output report/
  godwit bench compare-brokers --brokers godwit,mosquitto --scenarios pairs-qos0,ping --seconds 2`,
  ],
}

/** What testers of others call it. */
const Elsewhere: Readonly<Record<string, string>> = {
  conn: 'many',
  connections: 'many',
  pub: 'load',
  sub: 'load',
  throughput: 'load',
  latency: 'ping',
}

const Overview = `godwit bench: load testers for any MQTT broker

  ping             round trips of pairs of clients
  load             throughput and latency: one to one, fan-out, fan-in, shared
  many             very many slow sessions
  compare          two results: what changed, and whether it matters
  report           a result again, as text, JSON, CSV, HDR log or page
  compare-brokers  the same scenarios on every broker that is installed

godwit bench COMMAND --help tells more.

Exit codes: 0 all well, 1 messages lost or worse, 2 wrong options, 3 could not connect,
4 a goal (--slo) was missed, 5 the tester was saturated (with --strict), 130 interrupted.`

/** @returns the exit code */
export async function bench(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args
  if (command === undefined || command === '--help' || command === 'help') {
    console.log(Overview)
    return command === undefined ? 2 : 0
  }
  if (!isCommand(command)) {
    const known = Object.keys(Helps)
    const meant = Elsewhere[command] ?? nearest(command, known)
    const hint = meant === null ? '' : `: try godwit bench ${meant}`
    const text = `bench has ${known.join(', ')}, not ${JSON.stringify(command)}${hint}`
    throw new CommandFailure(text, USAGE)
  }
  const parsed = parseFlags(command, rest)
  if (isSet(parsed.values, 'help')) {
    console.log(helpOf(command, ...Helps[command]))
    return 0
  }
  return await run(command, parsed, args)
}

function isCommand(name: string): name is BenchCommand {
  return Object.hasOwn(Helps, name)
}

async function run(
  command: BenchCommand,
  parsed: ParsedFlags,
  args: readonly string[],
): Promise<number> {
  switch (command) {
    case 'ping':
    case 'load':
      return await runTester(command, parsed, commandLineOf(args))
    case 'many':
      return await runMany(parsed, commandLineOf(args))
    case 'report':
      return await runReport(parsed)
    case 'compare': {
      const { compareCommand } = await import('./compare-command.ts')
      return compareCommand(parsed)
    }
    case 'compare-brokers':
      return await runComparison(parsed, commandLineOf(args))
  }
}

async function runTester(
  command: 'ping' | 'load',
  parsed: ParsedFlags,
  commandLine: string,
): Promise<number> {
  const { loadSettings, pingSettings } = await import('./options.ts')
  const { parseMs } = await import('./quantities.ts')
  const { parseSlo } = await import('./slo.ts')
  const { runLoad } = await import('./run.ts')
  const read = command === 'ping' ? pingSettings : loadSettings
  const settings = read(parsed, commandLine)
  const goal = text(parsed.values, 'find-capacity')
  const step = text(parsed.values, 'step')
  if (step !== undefined && goal === undefined) usage('--step needs --find-capacity')
  const capacity =
    goal === undefined
      ? null
      : {
          slo: parseSlo('--find-capacity', goal),
          stepMs: Math.max(100, parseMs('--step', step ?? '5s')),
        }
  return await guarded(settings.output, async (progress, signal) => {
    const { result, lines } = await runLoad(settings, capacity, progress, signal)
    return await deliver(result, lines, settings.output)
  })
}

async function runMany(parsed: ParsedFlags, commandLine: string): Promise<number> {
  const { manySettings } = await import('./options.ts')
  const many = await import('./many.ts')
  const settings = manySettings(parsed, commandLine)
  const hasPreflight = !isSet(parsed.values, 'no-preflight')
  return await guarded(settings.output, async (progress, signal) => {
    const { result, lines } = await many.runMany(settings, hasPreflight, progress, signal)
    return await deliver(result, lines, settings.output)
  })
}

async function runComparison(parsed: ParsedFlags, commandLine: string): Promise<number> {
  const { compareBrokers } = await import('./compare-brokers.ts')
  // Its --output is a folder, which it makes.
  const output = outputSettings({ ...parsed.values, output: undefined })
  return await guarded(output, async (progress, signal) =>
    compareBrokers(parsed, commandLine, progress, signal),
  )
}

async function runReport({ values, words }: ParsedFlags): Promise<number> {
  const [path] = words
  if (path === undefined || words.length > 1) usage('bench report takes one file')
  const { readResult } = await import('./output-files.ts')
  const { linesOf } = await import('./run.ts')
  const result = readResult(path)
  await deliver(result, [result.title, ...linesOf(result)], outputSettings(values))
  return 0
}

/** Prints and writes a result. @returns its exit code */
async function deliver(
  result: RunResult,
  lines: readonly string[],
  output: OutputSettings,
): Promise<number> {
  const { writeOutputs } = await import('./output-files.ts')
  const { painted } = await import('./painted.ts')
  // Whatever becomes of the files.
  console.log(output.printJson ? JSON.stringify(result, null, 2) : painted(lines))
  const written = await writeOutputs(result, output)
  if (written.length > 0 && !output.quiet) console.error(`wrote ${written.join(' ')}`)
  return result.exitCode
}

/** Runs with a live display; Ctrl-C ends the run and still gives its report, twice ends at once. */
async function guarded(
  output: OutputSettings,
  act: (progress: import('./progress.ts').Progress, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const { openProgress } = await import('./progress.ts')
  const { RunFailure } = await import('./coordinator.ts')
  const progress = openProgress(output.quiet, errorStream())
  const controller = new AbortController()
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    return await act(progress, controller.signal)
  } catch (error) {
    if (!(error instanceof RunFailure)) throw error
    progress.end()
    throw new CommandFailure(error.message, controller.signal.aborted ? 130 : 3)
  } finally {
    progress.end()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

/** The options again, for a report; a password does not belong there. */
function commandLineOf(args: readonly string[]): string {
  return args
    .map((arg, i) => {
      const before = args[i - 1] ?? ''
      if (/^(?:-P|--?pass)$/.test(before)) return '***'
      const hidden = arg
        .replace(/^(--?pass=).*/, '$1***')
        .replace(/^(\w+:\/\/[^:@/]*):[^@/]*@/, '$1:***@')
      return /^[\w@%+=:,./{}-]+$/.test(hidden) ? hidden : `'${hidden.replaceAll("'", "'\\''")}'`
    })
    .join(' ')
}
