// The log of the broker: for people on a terminal, JSON lines elsewhere.

import { type DestinationStream, type Logger, pino } from 'pino'
import type { LogFormat, LogLevel } from './log-levels.ts'

/** Writes to standard output at once: what was logged before a crash is there. */
export async function openLog(level: LogLevel, format: LogFormat): Promise<Logger> {
  const { isTTY } = process.stdout
  const pretty = format === 'pretty' || (format === 'auto' && isTTY)
  const serializers = { err: level === 'debug' || level === 'trace' ? withStack : withoutStack }
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers }
  const stream = pretty ? await prettyStream(isTTY) : pino.destination({ dest: 1, sync: true })
  return pino(options, stream)
}

const withStack = pino.stdSerializers.err

/** What has a code is an error of the system or of the data: where it was thrown says nothing. */
function withoutStack(error: Error): object {
  const { code } = error as NodeJS.ErrnoException
  if (typeof code !== 'string') return withStack(error)
  return { type: error.name, message: error.message, code }
}

async function prettyStream(colorize: boolean): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty')
  return pretty({
    colorize,
    sync: true,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    ignore: 'err',
    messageFormat: withReason,
    destination: 1,
  })
}

/** An error with a code is part of the line, others show where they were thrown. */
function withReason(log: Record<string, unknown>, messageKey: string): string {
  const { err } = log as { err?: { readonly message?: string; readonly stack?: string } }
  const text = String(log[messageKey])
  if (err === undefined) return text
  return err.stack === undefined ? `${text}: ${err.message}` : `${text}\n${err.stack}`
}
