// A client of the benchmark `returning`: one ping after the other, and how long the answers took.

import { once } from 'node:events'
import { connect } from 'node:net'
import { encodePacket, NO_PROPERTIES, PacketType } from '@godwit/packet'

const [, , port = ''] = process.argv
const PING = Uint8Array.of(0xc0, 0)
const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true })
const nobody = { will: null, username: null, password: null, bridge: false } as const
const words = { clientId: 'pinger', cleanStart: true, keepAliveSeconds: 0 } as const
const type = PacketType.CONNECT
socket.write(
  encodePacket({ type, ...words, ...nobody, protocolLevel: 4, properties: NO_PROPERTIES }, 4),
)
await once(socket, 'data')
let times: number[] = []
let sentMs = performance.now()
socket.on('data', () => {
  const nowMs = performance.now()
  times.push(nowMs - sentMs)
  sentMs = nowMs
  socket.write(PING)
})
socket.write(PING)
process.send?.('ready')
process.on('message', () => {
  const sorted = times.toSorted((a, b) => a - b)
  times = []
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0
  process.send?.([at(0.5), at(0.99), sorted.at(-1) ?? 0])
})
process.on('disconnect', () => process.exit())
