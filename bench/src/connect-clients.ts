// The clients of the benchmark of connecting: each opens a session with one subscription, and says
// goodbye when it is told to. So many at a time as come at once when devices have power again.

import { connect, type Socket } from 'node:net'
import { encodePacket, NO_PROPERTIES, PacketType } from '@godwit/packet'

const AT_ONCE = 200
const SOURCES = 64
const KEEP_ALIVE_SECONDS = 60

export interface OpenOptions {
  readonly port: number
  readonly sessions: number
  readonly level: 4 | 5
}

export type OpenSession = Socket

/** @returns when every one of them has its SUBACK */
export async function openAll(options: OpenOptions): Promise<OpenSession[]> {
  const opened: OpenSession[] = []
  let next = 0
  const work = async (): Promise<void> => {
    while (next < options.sessions) opened.push(await openOne(options, next++))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return opened
}

function openOne({ port, level }: OpenOptions, index: number): Promise<OpenSession> {
  const localAddress = `127.0.0.${1 + (index % SOURCES)}`
  const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
  socket.write(connectPacket(index, level))
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', answer => {
      const type = (answer[0] ?? 0) >> 4
      const isRefused = (answer[type === PacketType.CONNACK ? 3 : answer.length - 1] ?? 0) >= 0x80
      if (isRefused) reject(new Error(`session ${index} was refused: ${answer.toString('hex')}`))
      else if (type === PacketType.CONNACK) socket.write(subscribePacket(index, level))
      else resolve(socket)
    })
  })
}

/** @returns when the server has closed its side of all connections as well */
export async function closeAll(sessions: readonly OpenSession[], level: 4 | 5): Promise<void> {
  const { DISCONNECT: type } = PacketType
  const goodbye = encodePacket({ type, reasonCode: 0, properties: NO_PROPERTIES }, level)
  for (let from = 0; from < sessions.length; from += AT_ONCE) {
    const some = sessions.slice(from, from + AT_ONCE)
    await Promise.all(
      some.map(socket => {
        const closed = new Promise(resolve => socket.once('close', resolve))
        socket.end(goodbye)
        return closed
      }),
    )
  }
}

function connectPacket(index: number, level: 4 | 5): Uint8Array {
  const rest = { will: null, username: null, password: null, bridge: false } as const
  return encodePacket(
    {
      type: PacketType.CONNECT,
      protocolLevel: level,
      cleanStart: true,
      keepAliveSeconds: KEEP_ALIVE_SECONDS,
      clientId: nameOf(index),
      ...rest,
      properties: NO_PROPERTIES,
    },
    level,
  )
}

function subscribePacket(index: number, level: 4 | 5): Uint8Array {
  const filter = `devices/${nameOf(index)}/commands`
  const options = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
  const subscriptions = [{ filter, ...options }]
  const type = PacketType.SUBSCRIBE
  return encodePacket({ type, packetId: 1, subscriptions, properties: NO_PROPERTIES }, level)
}

function nameOf(index: number): string {
  return `device-${String(index).padStart(7, '0')}`
}
