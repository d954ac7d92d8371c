// Messages of one publisher, topic and QoS reach a session in the order of their coming. MQTT 5.0
// section 4.6. A message that its publisher has repeated may come late: the first copy may be lost.
// So may one with DUP after a crash: it had its identifier, nobody knows whether it was ever sent.
// What was written is forgotten when the session may be another one: its DUP is no first copy then.

import type { PublishPacket } from '@godwit/packet'
import type { Facts, Publication, SessionLife, SubscriptionRecord } from '../facts.ts'
import { broken } from '../failure.ts'
import { describe } from '../questions.ts'

export function writeInOrder(
  facts: Facts,
  life: SessionLife,
  packet: PublishPacket,
  publication: Publication,
  records: readonly SubscriptionRecord[],
): void {
  const { key, publisher, topic, qos } = publication
  const isFirst = !life.written.has(key)
  life.written.add(key)
  // Members of a group take turns; retained messages and wills come when they come.
  if (!isFirst || packet.retain || publication.isWill) return
  if (packet.dup && facts.lastCrashAt >= life.beganAt) return
  if (packet.dup && publication.firstAt <= life.unsureAt) return
  if (records.some(record => record.group !== null)) return
  const stream = `${publisher} ${topic} ${qos} ${packet.qos}`
  const newest = life.newest.get(stream)
  if (newest === undefined || newest.firstAt < publication.firstAt) {
    life.newest.set(stream, publication)
    return
  }
  if (publication.arrivals > 1) return
  broken('order', `${life.clientId} gets ${describe(publication)} after ${describe(newest)}`)
}
