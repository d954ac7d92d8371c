// A broker that a comparison has started: it is waited for, weighed while it works, and ended.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrokerKind, serverPath } from './broker-kinds.ts'

const START_MS = 20_000
const POLL_MS = 50
const END_MS = 3_000
const ERROR_LENGTH_MAX = 2_000
/** USER_HZ, which Linux never changed. */
const TICKS_PER_SECOND = 100

export interface BrokerWeight {
  /** null where the system does not say. */
  readonly cpuSeconds: number | null
  readonly memoryBytes: number | null
}

export class BrokerProcess {
  readonly port: number
  private readonly child: ChildProcess
  private readonly folder: string

  private constructor(child: ChildProcess, port: number, folder: string) {
    this.child = child
    this.port = port
    this.folder = folder
  }

  /** @throws Error with what the broker wrote, when it does not listen in time */
  static async start(kind: BrokerKind): Promise<BrokerProcess> {
    const port = await freePort()
    const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-'))
    const [command = '', ...args] = kind.command(port, folder)
    const env = { ...process.env, PATH: serverPath(process.env) }
    const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
    let text = ''
    let failure: Error | null = null
    child.stderr?.on('data', chunk => {
      text = `${text}${chunk}`.slice(-ERROR_LENGTH_MAX)
    })
    child.on('error', error => {
      failure = error
    })
    const broker = new BrokerProcess(child, port, folder)
    const untilMs = performance.now() + START_MS
    while (!(await listens(port))) {
      if (failure !== null || child.exitCode !== null || performance.now() > untilMs) {
        await broker.stop()
        throw new Error(`${kind.name} did not start: ${failure ?? text}`)
      }
      await pause(POLL_MS)
    }
    return broker
  }

  weigh(): BrokerWeight {
    return weightOf(this.child.pid ?? 0)
  }

  async stop(): Promise<void> {
    const { child } = this
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.kill()
      const timer = setTimeout(() => child.kill('SIGKILL'), END_MS)
      await ended
      clearTimeout(timer)
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Of a process and of those of its children that have ended. */
export function weightOf(pid: number): BrokerWeight {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name of the program may have blanks; after it come fields with known places.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0)
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const memory = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]
    return {
      cpuSeconds: ticks / TICKS_PER_SECOND,
      memoryBytes: memory === undefined ? null : Number(memory) * 1024,
    }
  } catch {
    // Not Linux, or the process is gone.
    return { cpuSeconds: null, memoryBytes: null }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
