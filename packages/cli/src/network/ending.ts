// How a command ends: what it says about a connection that failed, and the exit code, both as
// Mosquitto's clients.

import type { ClientChoice } from '../options/choice.ts'
import { tell } from '../output/streams.ts'
import { connackText } from '../output/texts.ts'
import { type Link, LinkError } from './link.ts'

/** libmosquitto's numbers. */
export const ExitCode = {
  OK: 0,
  WRONG: 1,
  LOST: 7,
  TIMED_OUT: 27,
} as const

/** Says things while a command runs; `--quiet` says nothing. */
export type Say = (text: string) => void

export function sayer(choice: ClientChoice): Say {
  return choice.quiet ? () => undefined : tell
}

/** Tells why there is no connection. @returns the exit code */
export function report(error: unknown, choice: ClientChoice, say: Say): number {
  if (!(error instanceof LinkError)) throw error
  if (error.kind === 'refused') {
    say(`Connection error: ${connackText(error.code, choice.level)}`)
    return error.code
  }
  say(error.message)
  if (error.kind === 'unreachable') return error.code
  return error.code === 0 ? ExitCode.LOST : error.code
}

/** What takes all that it is given, or has failed. */
interface Target {
  readonly failure: Error | null
}

/** Says why a file or an output did not take everything. @returns whether it did */
export function took(name: string, target: Target | null, say: Say): boolean {
  const failure = target?.failure ?? null
  if (failure !== null) say(`Error: ${name}: ${failure.message}`)
  return failure === null
}

/** Only rejects: with why a link ended that nobody has closed. */
export async function lost(link: Pick<Link, 'closed'>): Promise<never> {
  const error = await link.closed
  if (error !== null) throw error
  // Closed by ourselves: whoever races with this has won already.
  return new Promise(() => undefined)
}
