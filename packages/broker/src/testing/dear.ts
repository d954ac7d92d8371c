// Messages that are dear to match, so that their publisher rests before all of them are handled.

import { encodePacket } from '@godwit/packet'
import type { TestClient } from './harness.ts'
import { publishPacket, subscribePacket } from './v5.ts'

const DEPTH = 12

/** A topic begins so: it walks all that `bush` has. */
export const DEEP: string = 'a/'.repeat(DEPTH)

/** Every filter of DEPTH levels of "a" and "+" before an "x": each topic of "a" walks them all. */
export function bush(client: TestClient): void {
  const filters = Array.from({ length: 2 ** DEPTH }, (_, bits) => {
    const levels = Array.from({ length: DEPTH }, (_, level) => ((bits >> level) & 1 ? '+' : 'a'))
    return `${levels.join('/')}/x`
  })
  client.send(subscribePacket(1, filters)).take()
}

/** Messages 0, 1, ... for these topics. */
export function messagesOf(topics: readonly string[], qos: 0 | 1 | 2): Uint8Array {
  const packets = topics.map((topic, i) => {
    const packet = { ...publishPacket(topic, `${i}`), qos, packetId: qos === 0 ? 0 : i + 1 }
    return encodePacket(packet, 5)
  })
  return Buffer.concat(packets)
}
