// The client's side of SOCKS 5 (RFC 1928), with user name and password (RFC 1929). Names of hosts
// are resolved by the proxy.

import type { Socket } from 'node:net'
import type { SocksProxy } from '../options/choice.ts'

const VERSION = 5
const NO_AUTHENTICATION = 0
const USER_PASSWORD = 2
const CONNECT = 1
const NAME = 3
const FIELD_BYTES_MAX = 255

const Replies: readonly string[] = [
  'succeeded',
  'general failure',
  'connection not allowed by its rules',
  'network unreachable',
  'host unreachable',
  'connection refused',
  'time to live expired',
  'command not supported',
  'address type not supported',
]

/** Asks the proxy at the other end of an open socket for a connection. @throws Error */
export async function connectThrough(
  socket: Socket,
  proxy: SocksProxy,
  host: string,
  port: number,
): Promise<void> {
  const reader = new FieldReader(socket)
  try {
    const method = proxy.username === null ? NO_AUTHENTICATION : USER_PASSWORD
    socket.write(Buffer.from([VERSION, 1, method]))
    const [version, chosen] = await reader.read(2)
    if (version !== VERSION) throw new Error('the proxy does not speak SOCKS 5')
    if (chosen !== method) throw new Error('the proxy wants another way to log in')
    if (proxy.username !== null) await logIn(socket, reader, proxy)
    const name = field('host', host)
    const tail = Buffer.from([port >> 8, port & 255])
    socket.write(Buffer.concat([Buffer.from([VERSION, CONNECT, 0, NAME]), name, tail]))
    const [, reply = 1, , kind] = await reader.read(4)
    if (reply !== 0) throw new Error(`the proxy answered: ${Replies[reply] ?? `code ${reply}`}`)
    const length = kind === 1 ? 4 : kind === 4 ? 16 : ((await reader.read(1))[0] ?? 0)
    await reader.read(length + 2)
  } finally {
    reader.stop()
  }
}

async function logIn(socket: Socket, reader: FieldReader, proxy: SocksProxy): Promise<void> {
  const name = field('user name', proxy.username ?? '')
  const password = field('password', proxy.password ?? '')
  socket.write(Buffer.concat([Buffer.from([1]), name, password]))
  const [, status] = await reader.read(2)
  if (status !== 0) throw new Error('the proxy did not accept user name and password')
}

/** One byte of length, and the text. */
function field(what: string, text: string): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length > FIELD_BYTES_MAX) throw new Error(`the ${what} is longer than 255 bytes`)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

/** Reads so many bytes at a time and leaves what follows in the socket. */
class FieldReader {
  private readonly socket: Socket
  private wake: () => void = () => undefined
  private failure: Error | null = null

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('readable', this.onReadable)
    socket.on('error', this.onError)
    socket.on('close', this.onClose)
  }

  async read(length: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.socket.read(length) as Buffer | null
      if (bytes !== null) return bytes
      if (this.failure !== null) throw this.failure
      await new Promise<void>(resolve => {
        this.wake = resolve
      })
    }
  }

  stop(): void {
    this.socket.off('readable', this.onReadable)
    this.socket.off('error', this.onError)
    this.socket.off('close', this.onClose)
  }

  private readonly onReadable = (): void => this.wake()

  private readonly onError = (error: Error): void => {
    this.failure = error
    this.wake()
  }

  private readonly onClose = (): void => {
    this.failure ??= new Error('the proxy closed the connection')
    this.wake()
  }
}
