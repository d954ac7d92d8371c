// What somebody speaks who does not speak MQTT: for the line in the log, so that who has mistaken
// a port finds out which. It only looks; the connection ends in any case.

import { PacketError, PacketType, ReasonCode } from '@godwit/packet'
import type { Origin } from './ports.ts'

const METHODS = /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PRI) /
const TLS_HANDSHAKE = 0x16
const TLS_MAJOR_VERSION = 3
/** "PROXY " of version 1, or the signature of version 2 of the header that proxies send. */
const PROXY_HEADER = /^(?:PROXY |\r\n\r\n\0\r\nQUIT\n)/
const LOOKED_AT_BYTES = 16

/** Whether what came first may be a CONNECT. The flags are the decoder's, but those of TLS. */
export function beginsConnect(chunk: Uint8Array): boolean {
  if (chunk.length === 0) return true
  return (chunk[0] as number) >> 4 === PacketType.CONNECT && !isTls(chunk) // [MQTT-3.1.0-1]
}

function isTls(chunk: Uint8Array): boolean {
  return chunk[0] === TLS_HANDSHAKE && chunk[1] === TLS_MAJOR_VERSION
}

/** @param chunk what came first, which does not begin as a CONNECT does */
export function notConnect(chunk: Uint8Array, transport: Origin['transport']): PacketError {
  const type = (chunk[0] ?? 0) >> 4
  const guess = guessOf(chunk, transport)
  const text =
    type === PacketType.CONNECT
      ? `the first byte is no CONNECT's${guess}`
      : `the first packet has type ${type}, expected CONNECT${guess}`
  return new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, text) // [MQTT-3.1.0-1]
}

function guessOf(chunk: Uint8Array, transport: Origin['transport']): string {
  const begin = String.fromCharCode(...chunk.subarray(0, LOOKED_AT_BYTES))
  if (METHODS.test(begin)) {
    return ': this looks like HTTP; this listener speaks MQTT, not WebSocket or HTTP'
  }
  if (isTls(chunk)) {
    const kind = transport === 'tls' ? 'TLS already' : 'plain'
    return `: this looks like TLS; this listener is ${kind}`
  }
  if (PROXY_HEADER.test(begin)) {
    return ': this looks like a PROXY header; this listener expects none'
  }
  return ''
}
