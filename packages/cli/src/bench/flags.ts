// The options of `godwit bench`: one table, from which they are read, described and completed.

import { parseArgs } from 'node:util'
import { usage } from '../failure.ts'
import { nearest } from '../nearest.ts'

export type BenchCommand = 'ping' | 'load' | 'many' | 'compare' | 'report' | 'compare-brokers'

export interface Flag {
  readonly name: string
  readonly short?: string
  /** What its value is called; missing for a switch. */
  readonly value?: string
  readonly text: string
  readonly group: string
  readonly commands: readonly BenchCommand[]
  /** May be given again. */
  readonly isMultiple?: true
}

/** As they were typed: a text, several, or that it is there. */
export type FlagValues = Readonly<
  Record<string, string | boolean | (string | boolean)[] | undefined>
>

const TESTERS = ['ping', 'load', 'many'] as const
const PACED = ['ping', 'load'] as const
const RENDERED = ['ping', 'load', 'many', 'report'] as const

type Row = readonly [
  definition: string,
  text: string,
  commands: readonly BenchCommand[],
  isMultiple?: true,
]

// `--name, -s <value>` as in a help text; the first column of each group's rows.
const Groups: Readonly<Record<string, readonly Row[]>> = {
  'What runs': [
    ['--pairs <n>', 'pairs of clients that bounce a message (default: 100)', ['ping']],
    ['--wsubs <n>', 'subscribers that watch the first pair with # (default: 20)', ['ping']],
    ['--conns <n>', 'connections, half of them publish (default: 100)', ['load']],
    ['--publishers <n>', 'instead of --conns', ['load']],
    ['--subscribers <n>', 'instead of --conns', ['load']],
    ['--fan <shape>', 'one-to-one, fan-out, fan-in or shared (default: one-to-one)', ['load']],
    ['--conns <n>', 'sessions; 0 is as many as possible (default: 10)', ['many']],
    ['--messages <n>', 'of each publisher, or pair (default: 1000 for ping, 100)', PACED],
    ['--duration <time>', 'publish so long instead, e.g. 30s', PACED],
    ['--warmup <time>', 'publish so long before anything is measured (default: 0)', PACED],
    ['--hold <time>', 'keep the sessions so long (default: until interrupted)', ['many']],
    ['--topic, -t <topic>', 'with {client} and {random:N}', TESTERS],
    ['--qos, -q <qos>', '0, 1 or 2 (default: 0)', TESTERS],
    ['--retain, -r', 'messages are retained', ['load']],
    ['--retained <n>', 'leave so many retained messages, then subscribe to all', ['load']],
    ['--subscribe <filter>', 'each session also subscribes, e.g. to/{client}', ['many']],
    ['--slow <n>', 'so many subscribers that read slowly and are not judged', ['load']],
    ['--slow-rate <bytes>', 'bytes per second of each of them (default: 4k)', ['load']],
    ['--keep-session', 'sessions outlive their connections: the broker has to store', ['load']],
    ['--storm <storm>', "cut and reconnect, e.g. '50% every 10s'", ['load', 'many']],
    ['--trials <n>', 'run so often; compare needs at least 2 (default: 1)', TESTERS],
    ['--seed <n>', 'chance begins here: the same seed, the same run', TESTERS],
    ['--processes <n>', 'share the work among processes, or auto (default: 1)', TESTERS],
  ],
  Pace: [
    ['--rate <rate>', 'open loop: messages per second of all together, e.g. 50k/s', PACED],
    ['--rate-per-client <rate>', 'open loop: of each publisher', PACED],
    ['--arrival <kind>', 'constant or poisson (default: constant)', PACED],
    ['--burst <burst>', 'open loop: so many at once, e.g. 100/2s', PACED],
    ['--window <n>', 'closed loop: messages under way of a publisher (default: 1000)', ['load']],
    ['--max-inflight <n>', 'unacknowledged messages of a publisher (default: 100)', PACED],
    ['--no-spin', 'sleep between messages: less exact, an idle core', PACED],
    ['--pace <seconds>', 'a session publishes so often, 0 is never (default: 60)', ['many']],
    ['--pace-jitter <percent>', 'give or take (default: 25%)', ['many']],
    ['--no-preflight', 'do not ask first whether so many fit here', ['many']],
    ['--wait <ms>', 'between two connects (default: 10)', ['many']],
    ['--drain <time>', 'what is missing so long after the last arrival is lost (5s)', PACED],
    ['--timeout <time>', 'closed loop: send the next after so long (default: 5s)', PACED],
    ['--find-capacity <goal>', "the highest rate that meets e.g. 'response.p99 < 20ms'", ['load']],
    ['--step <time>', 'how long each rate is tried (default: 5s)', ['load']],
  ],
  Payload: [
    ['--size, -s <bytes>', 'e.g. 64, 4k or 64..1024 (default: 64)', PACED],
    ['--payload <text>', 'behind the header: with {client}, {seq}, {time}, {random:N}', PACED],
    ['--payload-file <file>', 'behind the header: this file', PACED],
    ['--plain', 'without header: messages are only counted', ['load']],
  ],
  Connection: [
    ['--host, -h <host[:port]>', 'the broker (default: localhost)', TESTERS],
    ['--port, -p <port>', 'default: 1883, with TLS 8883', TESTERS],
    ['--url, -L <url>', 'mqtt, mqtts, ws or wss ://[user[:password]@]host[:port]', TESTERS],
    ['--target <host:port,...>', 'several addresses, taken in turn', TESTERS],
    ['--user, -u <name>', 'user name', TESTERS],
    ['--pass, -P <password>', 'password', TESTERS],
    ['--protocol-version, -V <v>', '5, 311 or 31 (default: 5)', TESTERS],
    ['--id <prefix>', 'of the client ids (default: godwit-bench-)', TESTERS],
    ['--start-number <n>', 'of the first client (default: 0)', TESTERS],
    ['--keepalive, -k <seconds>', 'default: 60', TESTERS],
    ['--connect-rate <rate>', 'connects per second (default: as fast as it goes)', TESTERS],
    ['--connect-concurrency <n>', 'connects at once (default: 100)', TESTERS],
    ['--connect-timeout <time>', 'default: 30s', TESTERS],
    ['--source-address <list>', 'e.g. 127.0.0.1-127.0.0.4: 28 k connections each', TESTERS],
    ['--tls', 'use TLS with the authorities that Node knows', TESTERS],
    ['--cafile <file>', 'who has signed the certificate of the broker', TESTERS],
    ['--cert <file>', 'own certificate', TESTERS],
    ['--key <file>', 'its private key', TESTERS],
    ['--insecure', 'any certificate will do', TESTERS],
    ['--dump', 'print every packet to standard error', TESTERS],
  ],
  Verdict: [
    ['--slo <goal>', "exit 4 when missed, e.g. 'response.p99 < 20ms'", TESTERS, true],
    ['--abort-on-slo', 'end as soon as a goal for the response is missed', PACED],
    ['--strict', 'exit 5 when the tester itself was the bottleneck', TESTERS],
    ['--allow-loss', 'lost messages are no error at QoS 0', TESTERS],
    ['--threshold <percent>', 'smaller changes do not matter (default: 5%)', ['compare']],
    ['--fail-on <change>', "exit 4, e.g. on 'response.p99 > +10%'", ['compare'], true],
  ],
  Output: [
    ['--output, -o <file>', 'the result as JSON', RENDERED],
    ['--csv <file>', 'one line per second', RENDERED],
    ['--hdr <file>', 'log of HdrHistogram, one histogram per second', RENDERED],
    ['--html <file>', 'a page with charts that needs no network', [...RENDERED, 'compare']],
    ['--json', 'print the result as JSON', [...RENDERED, 'compare', 'compare-brokers']],
    ['--quiet', 'print only the report', [...TESTERS, 'compare-brokers']],
    [
      '--brokers <list>',
      'godwit,mosquitto,nats,aedes (default: those that are installed)',
      ['compare-brokers'],
    ],
    ['--scenarios <list>', 'default: all; --list names them', ['compare-brokers']],
    ['--list', 'name brokers and scenarios', ['compare-brokers']],
    ['--seconds <n>', 'of each measurement (default: 4)', ['compare-brokers']],
    ['--repeat <n>', 'measurements of each scenario (default: 3)', ['compare-brokers']],
    ['--output, -o <folder>', 'write report.json, report.md and report.html', ['compare-brokers']],
  ],
}

export const Flags: readonly Flag[] = Object.entries(Groups).flatMap(([group, rows]) =>
  rows.map(([definition, text, commands, isMultiple]) => {
    const match = /^--([a-z-]+)(?:, -(\w))?(?: <(.*)>)?$/.exec(definition)
    const [, name = '', short, value] = match ?? []
    return {
      name,
      text,
      group,
      commands,
      ...(short === undefined ? {} : { short }),
      ...(value === undefined ? {} : { value }),
      ...(isMultiple === undefined ? {} : { isMultiple }),
    }
  }),
)

export interface ParsedFlags {
  readonly values: FlagValues
  readonly words: readonly string[]
}

/**
 * Reads what was typed. The flags of the Go programs have one dash: `-pairs 10` is `--pairs 10`.
 * @throws CommandFailure with exit code 2
 */
export function parseFlags(command: BenchCommand, args: readonly string[]): ParsedFlags {
  const flags = Flags.filter(flag => flag.commands.includes(command))
  const options: Record<
    string,
    { type: 'string' | 'boolean'; short?: string; multiple?: boolean }
  > = { help: { type: 'boolean' } }
  for (const { name, short, value, isMultiple } of flags) {
    options[name] = {
      type: value === undefined ? 'boolean' : 'string',
      ...(short === undefined ? {} : { short }),
      ...(isMultiple === undefined ? {} : { multiple: true }),
    }
  }
  try {
    const typed = withTwoDashes(args, flags)
    const { values, positionals } = parseArgs({ args: typed, options, allowPositionals: true })
    return { values, words: positionals }
  } catch (error) {
    const text = (error as Error).message.split('. To specify')[0] ?? ''
    const unknown = /^Unknown option '--?([^']+)'/.exec(text)?.[1] ?? ''
    const meant = nearest(unknown, Object.keys(options))
    const hint = meant === null ? '' : `: was --${meant} meant?`
    usage(`bench ${command}: ${text.charAt(0).toLowerCase()}${text.slice(1)}${hint}`)
  }
}

function withTwoDashes(args: readonly string[], flags: readonly Flag[]): string[] {
  let isLiteral = false
  return args.map((arg, index) => {
    if (arg === '--') isLiteral = true
    const name = /^-([a-z]{2,})(?:=|$)/.exec(arg)?.[1]
    if (isLiteral || name === undefined || !flags.some(flag => flag.name === name)) return arg
    // A value that looks like a flag stays a value.
    const before = /^--?([a-z-]+)$/.exec(args[index - 1] ?? '')?.[1]
    const isValue = flags.some(flag => flag.name === before && flag.value !== undefined)
    return isValue ? arg : `-${arg}`
  })
}

export function text(values: FlagValues, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

export function texts(values: FlagValues, name: string): string[] {
  const value = values[name]
  return Array.isArray(value) ? value.map(String) : []
}

export function isSet(values: FlagValues, name: string): boolean {
  return values[name] === true
}

const OPTION_WIDTH = 30

/** The help of a command, from the table. */
export function helpOf(command: BenchCommand, first: string, examples: string): string {
  const lines = [first]
  for (const group of Object.keys(Groups)) {
    const rows = Flags.filter(flag => flag.group === group && flag.commands.includes(command))
    if (rows.length === 0) continue
    lines.push('', `${group}:`)
    for (const { name, short, value, text: about } of rows) {
      const start = `  ${short === undefined ? '    ' : `-${short}, `}--${name}`
      const option = value === undefined ? start : `${start} <${value}>`
      lines.push(`${option.padEnd(OPTION_WIDTH + 6)} ${about}`)
    }
  }
  lines.push('', 'Examples:', ...examples.trimEnd().split('\n').slice(1))
  return [...lines, '', 'The exit codes are in godwit bench --help.'].join('\n')
}
