// The trace of packets: each one that comes or goes as a line of text.

import {
  Decoder,
  describePacket,
  PACKET_BYTES_MAX,
  PacketError,
  PacketType,
  type ProtocolLevel,
  readPacket,
} from '@godwit/packet'
import type { Origin } from './core/ports.ts'

export class PacketDump {
  private readonly print: (line: string) => void
  /** Connections are told apart by their origins: each has one of its own. */
  private readonly levels = new WeakMap<Origin, ProtocolLevel>()

  constructor(print: (line: string) => void) {
    this.print = print
  }

  received(origin: Origin, clientId: string, bytes: Uint8Array, start: number, end: number): void {
    const decoder = new Decoder(PACKET_BYTES_MAX)
    decoder.push(bytes.subarray(start, end))
    this.printAll('in ', origin, clientId, decoder, 'client')
  }

  sent(origin: Origin, clientId: string, pieces: readonly Uint8Array[]): void {
    const decoder = new Decoder(PACKET_BYTES_MAX)
    decoder.push(pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces))
    this.printAll('out', origin, clientId, decoder, 'server')
  }

  private printAll(
    direction: 'in ' | 'out',
    origin: Origin,
    clientId: string,
    decoder: Decoder,
    sender: 'client' | 'server',
  ): void {
    const who = clientId === '' ? nameOf(origin) : clientId
    try {
      while (decoder.next()) {
        this.print(`${direction} ${who} ${this.describe(origin, decoder, sender)}`)
      }
    } catch (error) {
      if (!(error instanceof PacketError)) throw error
      this.print(`${direction} ${who} ${error.message}`)
    }
  }

  private describe(origin: Origin, decoder: Decoder, sender: 'client' | 'server'): string {
    const { first, bytes, bodyStart, end } = decoder
    const level = this.levels.get(origin) ?? 4
    const packet = readPacket(first, bytes, bodyStart, end, level, sender)
    if (packet.type === PacketType.CONNECT) this.levels.set(origin, packet.protocolLevel)
    return describePacket(packet)
  }
}

function nameOf(origin: Origin): string {
  const { remoteAddress, remotePort, transport } = origin
  return remotePort === 0 ? transport : `${remoteAddress}:${remotePort}`
}
