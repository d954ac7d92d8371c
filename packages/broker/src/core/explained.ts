// CONNACK and DISCONNECT with the reason in words and another server's name, as far as the client
// wants them and takes packets of that size. MQTT 5.0 sections 3.1.2.11.4 and 4.11.

import {
  type ConnackPacket,
  type DisconnectPacket,
  encodePacket,
  isReasonCode,
  NO_PROPERTIES,
  PacketType,
  type Properties,
  ReasonCode,
  utf8ByteLength,
} from '@godwit/packet'
import type { Connection } from './connection.ts'
import { REASON_PACKET_BYTES_MAX } from './limits.ts'

/** What a property takes beside its text: its identifier and the length of the text. */
const FIELD_BYTES = 3

/**
 * Leaves out the reason first and the reference then, where both are too much.
 * @param bare the packet without any properties
 * @returns null when the client takes not even that [MQTT-3.1.2-24]
 */
export function explained(
  bare: ConnackPacket | DisconnectPacket,
  connection: Connection,
  reasonString: string,
  serverReference: string | null,
): Uint8Array | null {
  const plain = encodePacket(bare, connection.protocolLevel)
  if (!connection.level5) return plain
  const most = Math.min(connection.sendBytesMax, REASON_PACKET_BYTES_MAX)
  const reference: Properties = serverReference === null ? {} : { serverReference }
  // [MQTT-3.2.2-19] [MQTT-3.14.2-3]
  const words: Properties = connection.problemInformation ? { reasonString } : {}
  for (const properties of [{ ...words, ...reference }, reference]) {
    if (lengthOf(properties) > most) continue
    const packet = encodePacket({ ...bare, properties }, 5)
    if (packet.length <= most) return packet
  }
  return plain.length <= connection.sendBytesMax ? plain : null
}

/** Before it is encoded: a text of more than 65 535 bytes cannot be. */
function lengthOf({ reasonString, serverReference }: Properties): number {
  return fieldBytes(reasonString) + fieldBytes(serverReference)
}

function fieldBytes(text: string | undefined): number {
  return text === undefined ? 0 : FIELD_BYTES + utf8ByteLength(text)
}

/** DISCONNECT with its reason in words where the client asked for that and takes it. */
export function disconnectPacket(
  connection: Connection,
  reasonCode: number,
  text: string,
  reference: string | null,
): Uint8Array | null {
  const type = PacketType.DISCONNECT
  // [MQTT-3.14.2-1]
  const code = isReasonCode(type, reasonCode, 5) ? reasonCode : ReasonCode.UNSPECIFIED_ERROR
  const bare: DisconnectPacket = { type, reasonCode: code, properties: NO_PROPERTIES }
  return explained(bare, connection, text, reference)
}
