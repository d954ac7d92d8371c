// The log of the broker: JSON lines, but for people on a terminal (log-pretty.ts, loaded for them).

import { type Logger, pino } from 'pino'
import type { LogChoice } from './config.ts'
import { LogDestination, LogOutput } from './log-output.ts'
import { LogRate } from './log-rate.ts'

const INFO = 30
const NAMES: ReadonlyMap<string, string> = new Map([
  ['stdout', 'standard output'],
  ['stderr', 'standard error'],
])

/** A log, and how it goes on after its files were moved. */
export interface OpenLog {
  readonly log: Logger
  /** Whether some of it goes to files. */
  readonly hasFiles: boolean
  /** @throws Error of the system */
  reopen(): void
}

/** Writes at once: what was logged before a crash is there. @throws Error of the system */
export async function openLog({
  level,
  format,
  to,
}: Omit<LogChoice, 'connections'>): Promise<OpenLog> {
  const isTTY = to.length > 0 && to.every(isTerminal)
  const isPretty = format === 'pretty' || (format === 'auto' && isTTY)
  const pretty = isPretty ? (await import('./log-pretty.ts')).prettyLines(isTTY) : asItIs
  const destinations = to.map(one => new LogDestination(one))
  const outputs = destinations.map(one => {
    const found = (lines: number): void => {
      log.warn(
        `${lines} lines of the log were lost: ${NAMES.get(one.name) ?? one.name} did not take them`,
      )
    }
    return new LogOutput(found, one)
  })
  process.once('exit', () => {
    for (const output of outputs) output.flush()
  })
  const rate = new LogRate(text => log.warn(text))
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: level === 'debug' || level === 'trace' ? withStack : withoutStack },
      hooks: {
        logMethod(args, method, lineLevel) {
          // Events have fields and a fixed text; whoever wants every one of them asks for "debug".
          const [fields, text]: unknown[] = args
          const isEvent = typeof fields === 'object' && typeof text === 'string'
          const isLimited = isEvent && lineLevel >= INFO
          if (!isLimited || rate.allows(text)) method.apply(this, args)
        },
      },
    },
    {
      write: line => {
        const text = pretty(line)
        for (const output of outputs) output.write(text)
      },
    },
  )
  return {
    log,
    hasFiles: destinations.some(({ name }) => !NAMES.has(name)),
    reopen: () => {
      for (const one of destinations) one.reopen()
    },
  }
}

function isTerminal(to: string): boolean {
  return (to === 'stdout' && process.stdout.isTTY) || (to === 'stderr' && process.stderr.isTTY)
}

function asItIs(line: string): string {
  return line
}

const withStack = pino.stdSerializers.err

/** What has a code is an error of the system or of the data: where it was thrown says nothing. */
function withoutStack(error: Error): object {
  const { code } = error as NodeJS.ErrnoException
  if (typeof code !== 'string') return withStack(error)
  return { type: error.name, message: error.message, code }
}
