// MQTT over TCP.

import { createServer, type Socket } from 'node:net'
import type { Origin } from '../core/ports.ts'
import {
  type BindOptions,
  type Listener,
  type ListenerHost,
  originOf,
  startListening,
  stopListening,
  tcpAddress,
  watch,
} from './listener.ts'
import { ProxyFront, type ProxyProtocolOptions } from './proxy-front.ts'
import { openSocket } from './socket-wire.ts'

export interface TcpOptions extends BindOptions {
  readonly name: string
  /** Null: clients come themselves, not through a proxy that says who they are. */
  readonly proxyProtocol: ProxyProtocolOptions | null
}

export async function listenTcp(host: ListenerHost, options: TcpOptions): Promise<Listener> {
  const { name, proxyProtocol } = options
  const proxy = proxyProtocol === null ? null : new ProxyFront(host, name, proxyProtocol)
  const describe = (socket: Socket): Origin => originOf(socket, 'tcp', name, null)
  const server = createServer({ noDelay: true }, socket => {
    if (proxy === null) openSocket(socket, describe, host)
    else proxy.accept(socket, proxied => openSocket(socket, proxied, host))
  })
  watch(server, name, host, options)
  await startListening(server, options)
  return {
    address: tcpAddress(server, name, 'tcp'),
    reload: () => undefined,
    close: () => stopListening(server),
    destroy: () => proxy?.destroy(),
  }
}
