// Runs a command to its end, within a bounded time.

import { spawn } from 'node:child_process'

const LIMIT_MS = 60_000

export interface Result {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

export function run(
  command: string,
  args: readonly string[],
  input: string | null = null,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: LIMIT_MS })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(input ?? '')
    child.on('error', reject)
    child.on('close', code => resolve({ code, output, errors }))
  })
}
