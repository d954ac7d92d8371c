// Servers in processes of their own: a port for them, waiting until they listen, what they used.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'

/** Ten times the seconds that a start with a million sessions may take. */
const ATTEMPTS = 4000
const ATTEMPT_MS = 25
/** Of /proc: what Linux has on all its platforms. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

export async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

export async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const isOpen = await new Promise<boolean>(resolve => {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.on('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => setTimeout(() => resolve(false), ATTEMPT_MS))
    })
    if (isOpen) return
  }
  throw new Error(`nobody listens on port ${port}`)
}

export interface Usage {
  readonly userSeconds: number
  readonly systemSeconds: number
  readonly residentBytes: number
}

/** What a process has used since it began, all its threads together; null: this is not Linux. */
export function usageOf(pid: number): Usage | null {
  const path = `/proc/${pid}/stat`
  if (!existsSync(path)) return null
  const text = readFileSync(path, 'latin1')
  // The name of the program may hold anything; the third field comes behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  return {
    userSeconds: field(14) / TICKS_PER_SECOND,
    systemSeconds: field(15) / TICKS_PER_SECOND,
    residentBytes: field(24) * PAGE_BYTES,
  }
}
