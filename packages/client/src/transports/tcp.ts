// TCP, TLS and Unix sockets in Node.

import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { DialOptions, TlsOptions, Transport, TransportHandler } from '../transport.ts'
import { explain, foreignAnswer, nothingCame } from './explain.ts'
import { type DuplexLike, StreamTransport } from './stream.ts'

const READ_BYTES = 65_536

// All sockets read into one buffer: what is read is handled before the next one is read.
let shared: Uint8Array | null = null

/** Opens a TCP connection. */
export function openTcp(
  where: { readonly host: string; readonly port: number } | { readonly path: string },
  options: DialOptions,
  handler: TransportHandler,
): Transport {
  shared ??= new Uint8Array(READ_BYTES)
  const buffer = shared
  const { localAddress } = options
  let began = false
  const socket: Socket = connectTcp({
    ...where,
    ...(localAddress !== '' && { localAddress }),
    noDelay: true,
    onread: {
      buffer,
      callback: (length, bytes) => {
        const chunk = length === bytes.length ? bytes : bytes.subarray(0, length)
        const foreign = began ? null : foreignAnswer(chunk, 'mqtt')
        began = true
        if (foreign === null) handler.received(chunk)
        else socket.destroy(foreign)
        return true
      },
    },
  })
  socket.once('connect', () => handler.opened())
  return new StreamTransport(socket, handler, true, false, whyTcpEnded)
}

function whyTcpEnded(failure: Error | null, stream: DuplexLike): Error | null {
  if (failure !== null) return explain(failure, 'mqtt')
  return (stream as Socket).bytesRead === 0 ? nothingCame('mqtt') : null
}

/** Opens a TLS connection. */
export function openTls(
  host: string,
  port: number,
  options: DialOptions,
  handler: TransportHandler,
): Transport {
  const { localAddress } = options
  const socket: TLSSocket = connectTls({
    host,
    port,
    ...(localAddress !== '' && { localAddress }),
    ...tlsOptions(host, options.tls),
  })
  socket.setNoDelay(true)
  let began = false
  const watched: TransportHandler = {
    opened: () => handler.opened(),
    received: bytes => {
      const foreign = began ? null : foreignAnswer(bytes, 'mqtts')
      began = true
      if (foreign === null) handler.received(bytes)
      else socket.destroy(foreign)
    },
    drained: () => handler.drained(),
    closed: failure => {
      const isSilent = failure === null && !began
      handler.closed(isSilent ? nothingCame('mqtts') : failure)
    },
  }
  socket.once('secureConnect', () => watched.opened())
  return new StreamTransport(socket, watched, false, true, whyTlsEnded)
}

function whyTlsEnded(failure: Error | null): Error | null {
  return failure === null ? null : explain(failure, 'mqtts')
}

/** TLS options as `node:tls` and `node:https` take them. */
export function tlsOptions(host: string, tls: TlsOptions): Record<string, unknown> {
  const { ca, cert, key, passphrase, alpn, serverName, ciphers, minVersion, maxVersion } = tls
  // An IP address is no name to be told in the handshake.
  const name = serverName ?? (isIP(host) === 0 ? host : undefined)
  return {
    rejectUnauthorized: tls.verify !== false,
    ...(name !== undefined && { servername: name }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(passphrase !== undefined && { passphrase }),
    ...(alpn !== undefined && { ALPNProtocols: alpn }),
    ...(ciphers !== undefined && { ciphers }),
    ...(minVersion !== undefined && { minVersion }),
    ...(maxVersion !== undefined && { maxVersion }),
  }
}
