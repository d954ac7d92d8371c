// MQTT over a Unix socket: for clients on the same machine, with the rights of a file.

import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Origin } from '../core/ports.ts'
import {
  type Listener,
  type ListenerHost,
  startListening,
  stopListening,
  whyDropped,
} from './listener.ts'
import { openSocket } from './socket-wire.ts'

export interface UnixOptions {
  readonly name: string
  readonly path: string
  /** Rights of the socket's file, e.g. 0o660; null leaves what the system gives. */
  readonly mode: number | null
  readonly backlog: number
  readonly connectionsMax: number
}

/** @throws Error `EADDRINUSE` when somebody listens there, or the file is no socket */
export async function listenUnix(host: ListenerHost, options: UnixOptions): Promise<Listener> {
  const { name, path, mode, backlog } = options
  const origin: Origin = {
    transport: 'unix',
    remoteAddress: path,
    remotePort: 0,
    listener: name,
    certificate: null,
  }
  const server = createServer(socket => openSocket(socket, { ...origin }, host))
  host.descriptors.watch(server, options.connectionsMax)
  server.on('drop', () => {
    host.refused(origin, whyDropped(host, name, options.connectionsMax))
  })
  server.on('error', error => host.failed(name, error))
  await removeStaleSocket(path)
  await startListening(server, { path, backlog })
  if (mode !== null) chmodSync(path, mode)
  return {
    address: { name, transport: 'unix', host: '', port: 0, path, url: `unix://${path}` },
    reload: () => undefined,
    close: () => stopListening(server),
    destroy: () => undefined,
  }
}

/** A socket file that a killed process left; one that somebody listens on is left alone. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined || !stat.isSocket()) return
  if (!(await somebodyListens(path))) unlinkSync(path)
}

function somebodyListens(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}
