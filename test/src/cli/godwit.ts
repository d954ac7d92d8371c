// Runs the command `godwit` as a program of its own, within a bounded time.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<Ended>
}

const LIMIT_MS = 90_000

export const GODWIT: string = fileURLToPath(
  new URL('../../../packages/cli/bin/godwit.js', import.meta.url),
)

/** Starts it; `stdin` null leaves standard input open. */
export function start(
  args: readonly string[],
  stdin: string | Uint8Array | null = '',
  environment: Readonly<Record<string, string>> = {},
): Running {
  // The options files of whoever runs the tests are none of theirs.
  const env = { ...process.env, XDG_CONFIG_HOME: '/nonexistent', ...environment }
  const child = spawn(process.execPath, [GODWIT, ...args], { env, timeout: LIMIT_MS })
  // One that ends early does not read it all.
  child.stdin.on('error', () => undefined)
  if (stdin !== null) child.stdin.end(stdin)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      resolve({
        code,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      })
    })
  })
  return { child, ended }
}

export function run(
  args: readonly string[],
  stdin: string | Uint8Array = '',
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return start(args, stdin, environment).ended
}
