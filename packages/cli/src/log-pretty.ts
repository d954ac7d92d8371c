// The log of the broker as people read it on a terminal.

import pretty from 'pino-pretty'

/** Makes lines for people of the lines of the log. */
export function prettyLines(colorize: boolean): (line: string) => string {
  return pretty.prettyFactory({
    colorize,
    // In a file it is read on another day.
    translateTime: colorize ? 'SYS:HH:MM:ss.l' : 'SYS:yyyy-mm-dd HH:MM:ss.l',
    singleLine: true,
    ignore: 'err',
    messageFormat: withReason,
  })
}

/** An error with a code is part of the line, others show where they were thrown. */
function withReason(log: Record<string, unknown>, messageKey: string): string {
  const { err } = log as { err?: { readonly message?: string; readonly stack?: string } }
  const text = String(log[messageKey])
  if (err === undefined) return text
  return err.stack === undefined ? `${text}: ${err.message}` : `${text}\n${err.stack}`
}
