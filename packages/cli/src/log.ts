// The log of the broker: JSON lines, but for people on a terminal (log-pretty.ts, loaded for them).

import { type Logger, pino } from 'pino'
import type { LogFormat, LogLevel } from './log-levels.ts'
import { LogOutput } from './log-output.ts'
import { LogRate } from './log-rate.ts'

const INFO = 30

/** Writes to standard output at once: what was logged before a crash is there. */
export async function openLog(level: LogLevel, format: LogFormat): Promise<Logger> {
  const { isTTY } = process.stdout
  const isPretty = format === 'pretty' || (format === 'auto' && isTTY)
  const pretty = isPretty ? (await import('./log-pretty.ts')).prettyLines(isTTY) : asItIs
  const output = new LogOutput(lines => {
    log.warn(`${lines} lines of the log were lost: standard output did not take them`)
  })
  process.once('exit', () => output.flush())
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
    { write: line => output.write(pretty(line)) },
  )
  return log
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
