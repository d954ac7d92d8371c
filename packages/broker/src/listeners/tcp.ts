// MQTT over TCP.

import { createServer } from 'node:net'
import {
  type BindOptions,
  type Listener,
  type ListenerHost,
  originOf,
  SocketOptions,
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
  const server = createServer(SocketOptions, socket => {
    if (proxy === null) openSocket(socket, originOf(socket, 'tcp', name, null), host)
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
