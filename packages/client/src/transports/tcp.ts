// TCP, TLS and Unix sockets in Node.

import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { DialOptions, TlsOptions, Transport, TransportHandler } from '../transport.ts'
import { StreamTransport } from './stream.ts'

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
  const socket: Socket = connectTcp({
    ...where,
    ...(localAddress !== '' && { localAddress }),
    noDelay: true,
    onread: {
      buffer,
      callback: (length, bytes) => {
        handler.received(length === bytes.length ? bytes : bytes.subarray(0, length))
        return true
      },
    },
  })
  socket.once('connect', () => handler.opened())
  return new StreamTransport(socket, handler, true, false)
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
  socket.once('secureConnect', () => handler.opened())
  return new StreamTransport(socket, handler, false, true)
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
