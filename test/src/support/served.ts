// `godwit serve` as a process of its own, from the workspace or from wherever it was installed.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The command of this workspace. */
export const GODWIT: string = fileURLToPath(
  new URL('../../../packages/cli/bin/godwit.js', import.meta.url),
)

export interface Served {
  readonly child: ChildProcess
  /** Lines of its log, as they come. */
  readonly lines: string[]
  /** Where it listens, in its order. */
  readonly urls: readonly string[]
  /** Resolves with a line that holds `text`, come already or to come. */
  line(text: string): Promise<string>
  /** Sends a signal. @returns the exit code */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

interface LogLine {
  readonly msg?: string
}

/**
 * Starts it with a log of JSON. Resolves when it says how to try it or what it stores: then it
 * listens.
 * @throws Error with its output when it ends before
 */
export async function serve(
  args: readonly string[],
  how: {
    readonly command?: string
    readonly cwd?: string
    readonly env?: NodeJS.ProcessEnv
    /** What `ulimit -n` is for it. */
    readonly openFilesMax?: number
  } = {},
): Promise<Served> {
  const node = [process.execPath, how.command ?? GODWIT, 'serve', '--json', ...args]
  const limited = ['sh', '-c', `ulimit -n ${how.openFilesMax}; exec "$@"`, 'sh', ...node]
  const [program = '', ...words] = how.openFilesMax === undefined ? node : limited
  const child = spawn(program, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(how.cwd === undefined ? {} : { cwd: how.cwd }),
    ...(how.env === undefined ? {} : { env: how.env }),
  })
  const output = new Output(child)
  const urls: string[] = []
  // It says all its addresses before it says what becomes of its data.
  await output.line('in memory', 'stored in', 'are in', 'try it')
  for (const line of output.lines) {
    const url = /listening on (\S+)/.exec(messageOf(line))?.[1]
    if (url !== undefined) urls.push(url)
  }
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    if (child.exitCode === null) child.kill(signal)
    return output.exit
  }
  return { child, lines: output.lines, urls, line: text => output.line(text), stop }
}

function messageOf(line: string): string {
  try {
    return (JSON.parse(line) as LogLine).msg ?? line
  } catch {
    return line
  }
}

class Output {
  readonly lines: string[] = []
  readonly exit: Promise<number | null>
  readonly #waiting: (() => void)[] = []
  #rest = ''
  #hasEnded = false

  constructor(child: ChildProcess) {
    const take = (chunk: Buffer): void => {
      const parts = `${this.#rest}${chunk}`.split('\n')
      this.#rest = parts.pop() ?? ''
      this.lines.push(...parts)
      this.#wake()
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    this.exit = new Promise(resolve => {
      child.on('close', code => {
        this.#hasEnded = true
        this.#wake()
        resolve(code)
      })
    })
  }

  async line(...texts: readonly string[]): Promise<string> {
    for (;;) {
      const found = this.lines.find(line => texts.some(text => line.includes(text)))
      if (found !== undefined) return found
      if (this.#hasEnded) throw new Error(`it has ended: ${this.lines.join('\n')}`)
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
