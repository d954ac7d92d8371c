// A program for measurements: it answers CONNECT, SUBSCRIBE and PINGREQ, learns from its first
// PUBLISH where a connection belongs, and from then on copies bytes to the subscribers of that
// topic without looking at them. No broker can do less. It prints its port.

import { createServer, type Socket } from 'node:net'
import {
  Decoder,
  encodePacket,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  PacketType,
  type ProtocolLevel,
  readClientPacket,
} from '@godwit/packet'

const subscribers = new Map<string, Socket[]>()

const server = createServer({ noDelay: true }, socket => {
  let receivers: readonly Socket[] | null = null
  let level: ProtocolLevel = 5
  const decoder = new Decoder(PACKET_BYTES_MAX)
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    receivers ??= answer(chunk)
    if (receivers === null) return
    for (const receiver of receivers) {
      if (receiver.write(chunk)) continue
      // Who cannot take more stops who sends it.
      socket.pause()
      receiver.once('drain', () => socket.resume())
    }
  })

  function answer(chunk: Uint8Array): readonly Socket[] | null {
    decoder.push(chunk)
    while (decoder.next()) {
      const { first, bytes, bodyStart, end } = decoder
      const packet = readClientPacket(first, bytes, bodyStart, end, level)
      const properties = NO_PROPERTIES
      if (packet.type === PacketType.PUBLISH) return subscribers.get(packet.topic) ?? []
      if (packet.type === PacketType.CONNECT) {
        level = packet.protocolLevel
        const connack = { sessionPresent: false, reasonCode: 0, properties }
        socket.write(encodePacket({ type: PacketType.CONNACK, ...connack }, level))
      } else if (packet.type === PacketType.SUBSCRIBE) {
        const { packetId, subscriptions } = packet
        for (const { filter } of subscriptions) {
          subscribers.set(filter, [...(subscribers.get(filter) ?? []), socket])
        }
        const suback = { packetId, reasonCodes: subscriptions.map(() => 0), properties }
        socket.write(encodePacket({ type: PacketType.SUBACK, ...suback }, level))
      } else if (packet.type === PacketType.PINGREQ) {
        socket.write(encodePacket({ type: PacketType.PINGRESP }, level))
      }
    }
    return null
  }
})

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.stdout.write(`${address.port}\n`)
})
process.stdin.on('end', () => process.exit())
process.stdin.resume()
