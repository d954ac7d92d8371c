// What a broker says in CONNACK that it does not take, before anything is sent that it would
// refuse: a client must not send it, and a broker that ends the connection then has not broken a
// promise. Pure.

import type { Properties, QoS } from '@godwit/packet'
import { formatBytes } from './numbers.ts'

/** What a run is going to ask for. */
export interface Demands {
  readonly qos: QoS
  /** Messages are retained. */
  readonly retains: boolean
  readonly filters: readonly string[]
  /** The largest packet; 0 when it is not known. */
  readonly packetBytesMax: number
}

/** @returns why it cannot be, or null */
export function refusalOf(connack: Properties, demands: Demands): string | null {
  const { maximumQoS = 2, maximumPacketSize, retainAvailable } = connack
  const { qos, retains, filters, packetBytesMax } = demands
  // [MQTT-3.2.2-11]
  if (qos > maximumQoS) return `the broker takes QoS up to ${maximumQoS}: use --qos ${maximumQoS}`
  // [MQTT-3.2.2-14]
  if (retains && retainAvailable === 0) return 'the broker takes no retained messages'
  // [MQTT-3.2.2-15]
  if (maximumPacketSize !== undefined && packetBytesMax > maximumPacketSize) {
    const most = `${maximumPacketSize} bytes (${formatBytes(maximumPacketSize)})`
    return `the broker takes packets up to ${most}, those of this run have ${packetBytesMax}`
  }
  const shares = filters.some(filter => filter.startsWith('$share/'))
  if (shares && connack.sharedSubscriptionAvailable === 0) {
    return 'the broker has no shared subscriptions'
  }
  const wildcard = filters.find(filter => /[+#]/.test(filter))
  if (wildcard !== undefined && connack.wildcardSubscriptionAvailable === 0) {
    return `the broker has no wildcards, and the run subscribes to ${wildcard}`
  }
  return null
}
