// Opens the stream to a broker that the options ask for: TCP, TLS or a Unix socket, through a
// proxy, by an SRV record. What is sent over it is others' business.

import { resolveSrv } from 'node:dns/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ClientChoice } from '../options/choice.ts'
import { expectName } from './names.ts'
import { connectThrough } from './socks.ts'
import { logKeys, tlsSettings, wantsTls } from './tls-settings.ts'

const PORT = 1883
const TLS_PORT = 8883

interface Place {
  readonly host: string
  readonly port: number
}

/** Where the broker is, without a look at DNS. */
export function placeOf(choice: ClientChoice): Place {
  const { host, port } = choice
  return { host: host ?? 'localhost', port: port ?? (wantsTls(choice) ? TLS_PORT : PORT) }
}

/** Resolves with a stream that is open, after the TLS handshake. @throws Error of the network */
export async function dial(choice: ClientChoice, signal: AbortSignal): Promise<Socket> {
  if (choice.unix !== null) return opened(connectTcp({ path: choice.unix }), 'connect', signal)
  const secure = wantsTls(choice)
  const settings = secure ? tlsSettings(choice) : {}
  const place = choice.srv ? await resolvePlace(choice, secure) : placeOf(choice)
  const socket = await openTcp(choice, place, signal)
  if (!secure) return socket
  // An IP address is no name to be told in the handshake.
  const servername = isIP(place.host) === 0 ? { servername: place.host } : {}
  const encrypted = connectTls({ ...servername, ...settings, host: place.host, socket })
  logKeys(encrypted, choice.tlsKeylog)
  return opened(encrypted, 'secureConnect', signal)
}

async function openTcp(choice: ClientChoice, place: Place, signal: AbortSignal): Promise<Socket> {
  const { proxy, bindAddress } = choice
  const { host, port } = proxy ?? place
  const bind = bindAddress === null ? {} : { localAddress: bindAddress }
  expectName(host)
  const socket = await opened(connectTcp({ host, port, ...bind }), 'connect', signal)
  socket.setNoDelay(true)
  if (proxy === null) return socket
  try {
    await connectThrough(socket, proxy, place.host, place.port)
  } catch (error) {
    socket.destroy()
    throw error
  }
  return socket
}

/** The best record of `_mqtt._tcp` or, with TLS, `_secure-mqtt._tcp`. */
async function resolvePlace(choice: ClientChoice, secure: boolean): Promise<Place> {
  const name = `${secure ? '_secure-mqtt' : '_mqtt'}._tcp.${choice.host ?? 'localhost'}`
  const records = await resolveSrv(name)
  records.sort((a, b) => a.priority - b.priority || b.weight - a.weight)
  const [best] = records
  if (best === undefined) throw new Error(`there is no SRV record for ${name}`)
  return { host: best.name, port: best.port }
}

function opened(socket: Socket, event: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      socket.destroy(new Error('given up'))
    }
    const clear = (): void => {
      socket.off('error', fail)
      socket.off('close', closed)
      signal.removeEventListener('abort', abort)
    }
    const fail = (error: Error): void => {
      clear()
      // What else it says about its end is known already.
      socket.on('error', () => undefined)
      reject(error)
    }
    const closed = (): void => fail(new Error('the broker closed the connection'))
    socket.on('error', fail)
    socket.on('close', closed)
    signal.addEventListener('abort', abort, { once: true })
    socket.once(event, () => {
      clear()
      resolve(socket)
    })
  })
}
