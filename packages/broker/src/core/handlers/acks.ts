// hot
// PUBACK, PUBREC, PUBREL and PUBCOMP from a client, in both roles. MQTT 5.0 section 4.3.

import { type AckPacket, PacketError, PacketType, ReasonCode } from '@godwit/packet'
import type { Broker } from '../broker.ts'
import type { Connection } from '../connection.ts'
import { InflightState } from '../ports.ts'
import { NO_BATCH } from '../sender.ts'
import type { Session } from '../session.ts'
import { forgetReceived } from './publish.ts'

const FAILURE = 0x80

/** One without reason code and properties, as nearly all are. */
export function handlePlainAck(
  broker: Broker,
  connection: Connection,
  type: number,
  packetId: number,
): void {
  const session = connection.session
  if (session === null) return
  if (packetId === 0) refuse('a packet identifier is 0, expected 1 to 65535')
  switch (type) {
    case PacketType.PUBACK:
      finish(broker, session, packetId, InflightState.QOS_1_SENT, 'PUBACK')
      break
    case PacketType.PUBREC:
      handlePubrec(broker, connection, session, packetId)
      break
    case PacketType.PUBREL:
      handlePubrel(broker, connection, session, packetId)
      break
    default:
      finish(broker, session, packetId, InflightState.RELEASED, 'PUBCOMP')
  }
}

export function handleAck(broker: Broker, connection: Connection, packet: AckPacket): void {
  const { type, packetId, reasonCode } = packet
  const session = connection.session
  if (session === null) return
  if (reasonCode < FAILURE || type === PacketType.PUBREL) {
    handlePlainAck(broker, connection, type, packetId)
    return
  }
  const inflight = session.inflight
  const state = inflight === null ? InflightState.NONE : inflight.stateOf(packetId)
  if (type === PacketType.PUBCOMP) {
    finish(broker, session, packetId, InflightState.RELEASED, 'PUBCOMP')
    return
  }
  const expected = type === PacketType.PUBACK ? InflightState.QOS_1_SENT : InflightState.QOS_2_SENT
  // A failure ends the message for good [MQTT-4.4.0-2] and for its group [MQTT-4.8.2-6].
  const delivery = inflight === null ? null : inflight.deliveryOf(packetId)
  if (delivery !== null && state === expected) {
    const { message } = delivery
    broker.lose('refused-by-client', session.clientId, message.topic, message.byteLength)
  }
  finish(broker, session, packetId, expected, type === PacketType.PUBACK ? 'PUBACK' : 'PUBREC')
}

/** The client has the message: its identifier is free, the window has room. */
function finish(
  broker: Broker,
  session: Session,
  packetId: number,
  expected: number,
  name: string,
): void {
  const inflight = session.inflight
  if (inflight === null) return
  const state = inflight.stateOf(packetId)
  if (state === InflightState.NONE) return
  if (state !== expected) refuse(`${name} for packet identifier ${packetId}, which awaits another`)
  const delivery = inflight.deliveryOf(packetId)
  inflight.finish(packetId)
  if (delivery !== null) broker.queues.forget(session, delivery)
  if (wantsMore(session)) broker.queues.wake(session)
}

function wantsMore(session: Session): boolean {
  if (session.queue !== null && session.queue.length > 0) return true
  if (session.tail !== null) return true
  if (session.groups !== null || session.retainedJobs !== null) return true
  return session.inflight !== null && session.inflight.unsentSpan > 0
}

/** From here on the message is the client's: only PUBREL is sent again [MQTT-4.3.3-6]. */
function handlePubrec(
  broker: Broker,
  connection: Connection,
  session: Session,
  packetId: number,
): void {
  const inflight = session.inflight
  const state = inflight === null ? InflightState.NONE : inflight.stateOf(packetId)
  const { sender } = broker
  if (inflight === null || state === InflightState.NONE) {
    const unknown = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    sender.acknowledge(connection, PacketType.PUBREL, packetId, unknown, NO_BATCH)
    return
  }
  if (state === InflightState.QOS_1_SENT) refuse(`PUBREC for ${packetId}, which has QoS 1`)
  let batch = NO_BATCH
  if (state === InflightState.QOS_2_SENT) {
    inflight.release(packetId)
    const delivery = inflight.deliveryOf(packetId)
    if (delivery !== null && delivery.ownerId !== 0) {
      const store = broker.ports.store
      store.putInflight(session.storedId, packetId, delivery.sequence, InflightState.RELEASED)
      batch = store.openBatch
      delivery.batch = batch
    }
  } else {
    const delivery = inflight.deliveryOf(packetId)
    if (delivery !== null) batch = delivery.batch
  }
  sender.acknowledge(connection, PacketType.PUBREL, packetId, 0, batch) // [MQTT-4.3.3-4]
}

/** The identifier of the publisher is free again [MQTT-4.3.3-11] [MQTT-4.3.3-12]. */
function handlePubrel(
  broker: Broker,
  connection: Connection,
  session: Session,
  packetId: number,
): void {
  const known = forgetReceived(broker, connection, session, packetId)
  const batch = known && session.storedId !== 0 ? broker.ports.store.openBatch : NO_BATCH
  const reasonCode = known ? 0 : ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
  broker.sender.acknowledge(connection, PacketType.PUBCOMP, packetId, reasonCode, batch)
}

function refuse(text: string): never {
  throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, text)
}
