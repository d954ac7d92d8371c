// Two clients that mean no harm, and have to be served whatever the hostile ones do.

import type { BrokerServer } from '@godwit/broker'
import { PacketType, type QoS } from '@godwit/packet'
import { within } from '../support/brokers.ts'
import { publishPacket, RawClient } from '../support/raw-client.ts'

const TOPIC = 'the witness of the fuzzer'
const PATIENCE_MS = 30_000

export class Witness {
  readonly #subscriber: RawClient
  readonly #publisher: RawClient
  #count = 0

  private constructor(subscriber: RawClient, publisher: RawClient) {
    this.#subscriber = subscriber
    this.#publisher = publisher
  }

  static async join(broker: BrokerServer): Promise<Witness> {
    const [subscriber, publisher] = [
      new RawClient(broker.connect()),
      new RawClient(broker.connect()),
    ]
    await subscriber.connect({ clientId: 'the subscribing witness' })
    await publisher.connect({ clientId: 'the publishing witness' })
    await subscriber.subscribe(TOPIC)
    return new Witness(subscriber, publisher)
  }

  /** One message at each QoS. @returns what went wrong, or null */
  async check(): Promise<string | null> {
    const late = 'the witnesses are not served any more'
    try {
      return await within<string | null>(PATIENCE_MS, this.#exchange(), late)
    } catch (error) {
      return `a witness was hurt: ${error instanceof Error ? error.message : String(error)}`
    }
  }

  async #exchange(): Promise<null> {
    for (const qos of [0, 1, 2] as const) await this.#deliver(qos)
    return null
  }

  async #deliver(qos: QoS): Promise<void> {
    const [publisher, subscriber] = [this.#publisher, this.#subscriber]
    const payload = `message ${this.#count++}`
    publisher.send(publishPacket(TOPIC, payload, { qos, packetId: qos === 0 ? 0 : 1 }))
    if (qos === 1) await publisher.expect(PacketType.PUBACK)
    if (qos === 2) {
      await publisher.expect(PacketType.PUBREC)
      publisher.send([0x62, 2, 0, 1])
      await publisher.expect(PacketType.PUBCOMP)
    }
    const packet = await subscriber.expect(PacketType.PUBLISH)
    if (Buffer.from(packet.payload).toString() !== payload)
      throw new Error('it got another message')
    const id = [packet.packetId >> 8, packet.packetId & 255]
    if (qos === 1) subscriber.send([0x40, 2, ...id])
    if (qos === 2) {
      subscriber.send([0x50, 2, ...id])
      await subscriber.expect(PacketType.PUBREL)
      subscriber.send([0x70, 2, ...id])
    }
  }
}
