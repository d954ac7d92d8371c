// What a test vector is: one packet as bytes, named, with a comment for each field.
// The vectors themselves are in the files beside this one.

import type { ProtocolLevel } from '../constants.ts'
import type { PacketErrorCode } from '../errors.ts'
import type { Packet } from '../packets.ts'
import type { Sender } from '../read-packet.ts'

/** Bytes that are a packet. */
export interface Vector {
  readonly name: string
  readonly level: ProtocolLevel
  readonly sender: Sender
  readonly bytes: Uint8Array
  readonly packet: Packet
  /** What the encoder makes of the packet, where the standard allows more than one form. */
  readonly canonical: Uint8Array
}

/** Bytes that must be refused. */
export interface BadVector {
  readonly name: string
  readonly level: ProtocolLevel
  readonly sender: Sender
  readonly bytes: Uint8Array
  readonly code: PacketErrorCode
  readonly reasonCode: number
}

export function good(
  name: string,
  level: ProtocolLevel,
  sender: Sender,
  text: string,
  packet: Packet,
  canonical: string = text,
): Vector {
  return { name, level, sender, bytes: bytesOf(text), packet, canonical: bytesOf(canonical) }
}

export function bad(
  name: string,
  level: ProtocolLevel,
  sender: Sender,
  text: string,
  code: PacketErrorCode,
  reasonCode: number,
): BadVector {
  return { name, level, sender, bytes: bytesOf(text), code, reasonCode }
}

/** Bytes from pairs of hexadecimal digits and texts in quotes; `//` begins a comment. */
export function bytesOf(text: string): Uint8Array {
  const bytes: number[] = []
  for (const [token] of text.matchAll(/"[^"]*"|\/\/.*|\S+/g)) {
    if (token.startsWith('"')) {
      bytes.push(...new TextEncoder().encode(token.slice(1, -1)))
    } else if (/^[0-9a-f]{2}$/.test(token)) {
      bytes.push(Number.parseInt(token, 16))
    } else if (!token.startsWith('//')) {
      throw new Error(`not a byte: ${token}`)
    }
  }
  return Uint8Array.from(bytes)
}
