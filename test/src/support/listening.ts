// Programs that are not ours and listen: on which port they may, and since when they do.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type NetConnectOpts } from 'node:net'
import { elapse } from './elapse.ts'

const LOOK_MS = 5
/** Below the ports that a system gives to who asks for any: no other test gets one meanwhile. */
const PORT_FIRST = 20_000
const PORT_COUNT = 12_000
/** Test files run beside each other, in processes whose numbers follow one another. */
const PORTS_OF_A_PROCESS = 64

let nextPlace = process.pid * PORTS_OF_A_PROCESS

/** Ports that nothing listens on, for a program that has to be told a number. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = PORT_FIRST + (nextPlace++ % PORT_COUNT)
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port), 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}

/**
 * Resolves when connections are taken there. That the file of a Unix socket is there says less: it
 * comes before anybody listens to it.
 * @throws Error when the program ends instead
 */
export async function untilListening(child: ChildProcess, where: NetConnectOpts): Promise<void> {
  while (!(await isTaken(where))) {
    const { exitCode, signalCode, spawnfile } = child
    if (exitCode !== null || signalCode !== null) {
      throw new Error(`expected ${spawnfile} to listen, it ended with ${exitCode ?? signalCode}`)
    }
    await elapse(LOOK_MS)
  }
}

async function isTaken(where: NetConnectOpts): Promise<boolean> {
  const socket = connect(where)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
