// The command `godwit` as a process of its own, as a user has it.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const COMMAND = fileURLToPath(new URL('../../../packages/cli/bin/godwit.js', import.meta.url))
const LIMIT_MS = 110_000

export interface CommandResult {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

/** A command that runs, and its end. */
export interface RunningCommand {
  readonly child: ChildProcess
  readonly result: Promise<CommandResult>
}

/**
 * @param how `detached`: in a group of its own, which may be sent a signal as a terminal does;
 * `env` is added to that of this process
 */
export function startGodwit(
  words: readonly string[],
  how: { readonly detached?: boolean; readonly env?: NodeJS.ProcessEnv } = {},
): RunningCommand {
  const child = spawn(process.execPath, [COMMAND, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    detached: how.detached === true,
    env: { ...process.env, NO_COLOR: '1', ...how.env },
  })
  let output = ''
  let errors = ''
  child.stdout.on('data', chunk => {
    output += String(chunk)
  })
  child.stderr.on('data', chunk => {
    errors += String(chunk)
  })
  const result = new Promise<CommandResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, output, errors }))
  })
  return { child, result }
}

/** Runs a command to its end. */
export function godwit(...words: readonly string[]): Promise<CommandResult> {
  return startGodwit(words).result
}
