// One network connection of a load client: packets out, packets in, and its end, once.

import { connect, type Socket } from 'node:net'
import {
  type ClientPacket,
  Decoder,
  encodeClientPacket,
  type ProtocolLevel,
  readServerPacket,
  type ServerPacket,
} from '@godwit/packet'

const PACKET_BYTES_MAX = 1024 * 1024

export interface LinkOwner {
  /** Payloads are views that live until the call returns. */
  packet(packet: ServerPacket): void
  /** Bytes that are no packet of a server. */
  broken(error: unknown): void
  closed(): void
}

export class Link {
  private readonly socket: Socket
  private readonly level: ProtocolLevel
  private isOpen = true

  constructor(port: number, level: ProtocolLevel, owner: LinkOwner) {
    this.level = level
    const decoder = new Decoder(PACKET_BYTES_MAX)
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('data', chunk => {
      decoder.push(chunk)
      try {
        while (this.isOpen && decoder.next()) {
          const { first, bytes, bodyStart, end } = decoder
          owner.packet(readServerPacket(first, bytes, bodyStart, end, level))
        }
      } catch (error) {
        owner.broken(error)
        this.destroy()
      }
    })
    // Whatever the error was, 'close' follows it: the broker is being killed all the time.
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isOpen = false
      owner.closed()
    })
  }

  send(packet: ClientPacket): void {
    if (this.isOpen) this.socket.write(encodeClientPacket(packet, this.level))
  }

  /** Says nothing more; the broker closes. */
  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.isOpen = false
    this.socket.destroy()
  }
}
