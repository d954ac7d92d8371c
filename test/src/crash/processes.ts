// Starts, stops and kills the processes of a round, each by its own id; waits for what they say.

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { DiskStoreOptions } from '@godwit/broker'
import { after } from '../support/time.ts'
import type { LoadAnswer, LoadCommand } from './load-main.ts'

const START_LIMIT_MS = 120_000
const ANSWER_LIMIT_MS = 300_000
const STDERR_KEPT = 4000

export interface BrokerSettings {
  readonly store: DiskStoreOptions
  /** What GODWIT_CRASH is set to; '': nothing. */
  readonly crash?: string
  /** Modules that are loaded before the broker. */
  readonly preload?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

/** A broker in a process of its own. */
export class BrokerProcess {
  /** Resolves when the process has ended. */
  readonly exited: Promise<void>
  port = 0
  /** The last of what it wrote to standard error. */
  complaints = ''
  private readonly child: ChildProcess
  private hasExited = false

  private constructor(child: ChildProcess) {
    this.child = child
    child.stderr?.on('data', (chunk: Buffer) => {
      this.complaints = `${this.complaints}${chunk}`.slice(-STDERR_KEPT)
    })
    this.exited = new Promise(resolve => {
      child.on('exit', () => {
        this.hasExited = true
        resolve()
      })
    })
  }

  /**
   * Starts a broker and waits until it listens.
   * @returns null when it was killed at a crash point before it did
   * @throws Error when it ends otherwise, or takes too long
   */
  static async start(settings: BrokerSettings): Promise<BrokerProcess | null> {
    const { store, crash = '', preload = [], environment = {} } = settings
    const main = fileURLToPath(new URL('./broker-main.js', import.meta.url))
    const imports = preload.flatMap(path => ['--import', path])
    const child = spawn(process.execPath, [...imports, main, JSON.stringify(store)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment, GODWIT_CRASH: crash },
    })
    const broker = new BrokerProcess(child)
    const listens = await broker.waitForPort()
    if (listens) return broker
    if (child.signalCode === 'SIGKILL' && crash !== '') return null
    await broker.kill()
    throw new Error(`the broker did not start: ${broker.describe()}`)
  }

  get running(): boolean {
    return !this.hasExited
  }

  get exitCode(): number | null {
    return this.child.exitCode
  }

  describe(): string {
    const { exitCode, signalCode } = this.child
    return `exit code ${exitCode}, signal ${signalCode}, it said: ${this.complaints}`
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }

  /** Ends it as an administrator does. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.exited
  }

  /** The next sync of the log fails: see preload-failing-sync.ts. */
  failSyncs(): void {
    this.child.kill('SIGUSR2')
  }

  /** It stops where it is, as if the power were cut. */
  freeze(): void {
    this.child.kill('SIGSTOP')
  }

  private waitForPort(): Promise<boolean> {
    return new Promise(resolve => {
      const cancel = after(START_LIMIT_MS, () => resolve(false))
      let said = ''
      this.child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk
        const port = /^listening (\d+)\n/.exec(said)?.[1]
        if (port === undefined) return
        cancel()
        this.port = Number(port)
        resolve(true)
      })
      void this.exited.then(() => {
        cancel()
        resolve(false)
      })
    })
  }
}

/** The process that writes the ledgers. */
export class LoadProcess {
  private readonly child: ChildProcess
  private readonly exited: Promise<number | null>
  private complaints = ''

  constructor(ledgerPrefix: string) {
    const main = fileURLToPath(new URL('./load-main.js', import.meta.url))
    this.child = fork(main, [ledgerPrefix], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.complaints = `${this.complaints}${chunk}`.slice(-STDERR_KEPT)
    })
    this.exited = new Promise(resolve => this.child.on('exit', resolve))
  }

  /** @throws Error when the process ends instead, or does not answer in time */
  ask<T extends LoadAnswer['type']>(
    command: LoadCommand,
    answer: T,
  ): Promise<Extract<LoadAnswer, { type: T }>> {
    return new Promise((resolve, reject) => {
      const cancel = after(ANSWER_LIMIT_MS, () => reject(new Error(`no answer "${answer}"`)))
      this.child.once('message', (message: LoadAnswer) => {
        cancel()
        if (message.type === answer) resolve(message as Extract<LoadAnswer, { type: T }>)
        else reject(new Error(`the load answered ${message.type}, not ${answer}`))
      })
      void this.exited.then(code => {
        cancel()
        reject(new Error(`the load ended with ${code}: ${this.complaints}`))
      })
      this.child.send(command)
    })
  }

  async end(): Promise<void> {
    if (this.child.connected) this.child.send({ type: 'end' })
    const cancel = after(ANSWER_LIMIT_MS, () => this.child.kill('SIGKILL'))
    await this.exited
    cancel()
  }

  kill(): void {
    this.child.kill('SIGKILL')
  }
}
