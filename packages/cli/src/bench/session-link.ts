// hot
// The connection of a session of `many`, as small as Node has it: no closures, no buffer of its
// own. What is not bare TCP goes through the transports of the other testers and costs more.

import { Socket } from 'node:net'
import type { ConnectionSettings } from './settings.ts'
import type { Source } from './source-ports.ts'
import { openTransport, type Target, type Transport, type TransportOwner } from './transport.ts'

export interface Link {
  send(bytes: Uint8Array): void
  /** Sends the last bytes and closes. */
  finish(bytes: Uint8Array): void
  /** Closes at once; the owner hears nothing more. */
  cut(): void
}

/** Who has the sessions: hears of each by its number. */
export interface LinkOwner {
  linkOpened(session: number): void
  /** `bytes[0, length)` are valid until this returns. */
  linkReceived(session: number, bytes: Uint8Array, length: number): void
  linkClosed(session: number, error: Error | null): void
}

const READ_BYTES = 64 * 1024
const readBuffer = new Uint8Array(READ_BYTES)

export function openLink(
  session: number,
  target: Target,
  source: Source | null,
  tls: ConnectionSettings['tls'],
  owner: LinkOwner,
): Link {
  if (target.kind !== 'tcp') {
    return new TransportLink(session, target, source?.address ?? null, tls, owner)
  }
  const socket = new SessionSocket(session, owner)
  const { host, port } = target
  if (source === null) socket.connect({ host, port })
  else if (source.port === 0) socket.connect({ host, port, localAddress: source.address })
  else socket.connect({ host, port, localAddress: source.address, localPort: source.port })
  return socket
}

class SessionSocket extends Socket implements Link {
  readonly session: number
  owner: LinkOwner | null
  failure: Error | null = null

  constructor(session: number, owner: LinkOwner) {
    super(SOCKET_OPTIONS)
    this.session = session
    this.owner = owner
    this.setNoDelay(true)
    this.once('connect', onConnect)
    this.on('error', onError)
    this.on('close', onClose)
  }

  send(bytes: Uint8Array): void {
    this.write(bytes)
  }

  finish(bytes: Uint8Array): void {
    this.end(bytes)
  }

  cut(): void {
    this.owner = null
    this.destroy()
  }
}

// One set of functions for all sockets: they find their session by `this`.
const SOCKET_OPTIONS = {
  onread: {
    buffer: readBuffer,
    callback(this: unknown, length: number): boolean {
      const { owner, session } = this as SessionSocket
      owner?.linkReceived(session, readBuffer, length)
      return true
    },
  },
} as object

function onConnect(this: SessionSocket): void {
  this.owner?.linkOpened(this.session)
}

function onError(this: SessionSocket, error: Error): void {
  this.failure = error
}

function onClose(this: SessionSocket): void {
  const { owner } = this
  this.owner = null
  owner?.linkClosed(this.session, this.failure)
}

class TransportLink implements Link, TransportOwner {
  private readonly session: number
  private owner: LinkOwner | null
  private readonly transport: Transport

  constructor(
    session: number,
    target: Target,
    localAddress: string | null,
    tls: ConnectionSettings['tls'],
    owner: LinkOwner,
  ) {
    this.session = session
    this.owner = owner
    this.transport = openTransport(target, localAddress, tls, this)
  }

  send(bytes: Uint8Array): void {
    this.transport.write(bytes, null)
  }

  finish(bytes: Uint8Array): void {
    this.transport.end(bytes)
  }

  cut(): void {
    this.owner = null
    this.transport.destroy()
  }

  opened(): void {
    this.owner?.linkOpened(this.session)
  }

  received(bytes: Uint8Array, length: number): void {
    this.owner?.linkReceived(this.session, bytes, length)
  }

  drained(): void {
    // A session says little: what waits is a packet or two.
  }

  closed(error: Error | null): void {
    const { owner } = this
    this.owner = null
    owner?.linkClosed(this.session, error)
  }
}
