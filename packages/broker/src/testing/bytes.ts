// Packets by hand, for what no encoder would write, and short ways to clients before MQTT 5.0.

import assert from 'node:assert/strict'
import { type ConnectPacket, type Packet, PacketType, type PublishPacket } from '@godwit/packet'
import { type TestClient, text, type World } from './harness.ts'

/** MQTT 3.1 and 3.1.1. */
export const OLD_LEVELS: readonly [3, 4] = [3, 4]

type Part = number | readonly number[]

/** A frame: its first byte, the remaining length, its body. */
export function frame(first: number, ...parts: readonly Part[]): Uint8Array {
  const body = parts.flat()
  const length: number[] = []
  let rest = body.length
  while (rest > 127) {
    length.push((rest & 127) | 128)
    rest >>>= 7
  }
  return Uint8Array.from([first, ...length, rest, ...body])
}

/** A string or binary field: its length in two bytes, its bytes. */
export function field(content: string | readonly number[]): number[] {
  const bytes = typeof content === 'string' ? [...new TextEncoder().encode(content)] : content
  return [bytes.length >> 8, bytes.length & 255, ...bytes]
}

/** CONNECT by hand; what follows the client id is up to the caller. */
export function connectFrame(
  flags: number,
  clientId: string | readonly number[] = 'raw',
  ...rest: readonly Part[]
): Uint8Array {
  return frame(0x10, field('MQTT'), 4, flags, [0, 0], field(clientId), ...rest)
}

export function connectOld(
  world: World,
  clientId: string,
  options: Partial<ConnectPacket> = {},
): TestClient {
  return world.connect({ clientId, protocolLevel: 4, ...options })
}

/** The client sends something that ends its connection without an answer. */
export function assertCloses(client: TestClient, sent: Packet | Uint8Array): void {
  assert.deepEqual(client.ask(sent), [])
  assert.equal(client.ended, true)
}

/** The one packet of its type that `packets` consist of. */
export function only<T extends Packet['type']>(
  packets: readonly Packet[],
  type: T,
): Packet & { type: T } {
  assert.deepEqual(
    packets.map(packet => packet.type),
    [type],
  )
  return packets[0] as Packet & { type: T }
}

export function texts(packets: readonly Packet[]): string[] {
  return publishesOf(packets).map(text)
}

export function publishesOf(packets: readonly Packet[]): PublishPacket[] {
  return packets.filter(packet => packet.type === PacketType.PUBLISH)
}
