// The log of the broker: JSON lines, but for people on a terminal (log-pretty.ts, loaded for them).

import { type Logger, pino } from 'pino'
import type { LogFormat, LogLevel } from './log-levels.ts'

/** Writes to standard output at once: what was logged before a crash is there. */
export async function openLog(level: LogLevel, format: LogFormat): Promise<Logger> {
  const { isTTY } = process.stdout
  const pretty = format === 'pretty' || (format === 'auto' && isTTY)
  const serializers = { err: level === 'debug' || level === 'trace' ? withStack : withoutStack }
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers }
  if (!pretty) return pino(options, pino.destination({ dest: 1, sync: true }))
  const { prettyStream } = await import('./log-pretty.ts')
  return pino(options, prettyStream(isTTY))
}

const withStack = pino.stdSerializers.err

/** What has a code is an error of the system or of the data: where it was thrown says nothing. */
function withoutStack(error: Error): object {
  const { code } = error as NodeJS.ErrnoException
  if (typeof code !== 'string') return withStack(error)
  return { type: error.name, message: error.message, code }
}
