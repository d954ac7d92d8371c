// Runs a command to its end, within a bounded time.

import { spawn } from 'node:child_process'

const LIMIT_MS = 60_000

export interface Result {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

export interface RunOptions {
  /** What it reads. */
  readonly input?: string
  readonly cwd?: string
  readonly limitMs?: number
  /** Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv
}

export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.limitMs ?? LIMIT_MS,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    // Who ends early does not read all.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    child.on('error', reject)
    child.on('close', code => resolve({ code, output, errors }))
  })
}
