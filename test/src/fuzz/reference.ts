// What the codec alone says about a stream of bytes: where it goes wrong first, and with which
// code. It knows nothing of sessions; the broker may have more against a stream, never less.

import { Decoder, PacketError, PacketType, type ProtocolLevel, readPacket } from '@godwit/packet'

export interface Fault {
  /** Frames that the broker handles up to it, the faulty one included if its header is good. */
  readonly frames: number
  readonly reasonCode: number
  /** 0 for a fault in the header. */
  readonly type: number
}

/** @returns null when nothing is wrong up to the end, or up to DISCONNECT */
export function firstFault(
  chunks: readonly Uint8Array[],
  connectBytesMax: number,
  packetBytesMax: number,
): Fault | null {
  const decoder = new Decoder(connectBytesMax)
  let level: ProtocolLevel = 4
  let frames = 0
  for (const chunk of chunks) {
    decoder.push(chunk)
    for (;;) {
      try {
        if (!decoder.next()) break
      } catch (error) {
        return { frames, reasonCode: codeOf(error), type: 0 }
      }
      frames++
      const { first, bytes, bodyStart, end } = decoder
      const type = first >> 4
      // The broker does not look into a second CONNECT.
      if ((type === PacketType.CONNECT) !== (frames === 1))
        return { frames, reasonCode: 0x82, type }
      try {
        const packet = readPacket(first, bytes, bodyStart, end, level, 'client')
        if (packet.type === PacketType.CONNECT) level = packet.protocolLevel
        if (packet.type === PacketType.DISCONNECT) return null
      } catch (error) {
        return { frames, reasonCode: codeOf(error), type }
      }
      decoder.packetBytesMax = packetBytesMax
    }
  }
  return null
}

function codeOf(error: unknown): number {
  if (error instanceof PacketError) return error.reasonCode
  throw error
}
