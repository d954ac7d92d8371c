// The log of the broker as people read it on a terminal.

import pretty from 'pino-pretty'

/** Writes lines for people to standard output. */
export function prettyStream(colorize: boolean): pretty.PrettyStream {
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
