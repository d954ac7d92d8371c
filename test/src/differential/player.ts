// Plays a script against a broker and writes down what each client gets in each step. Between two
// steps nothing is under way any more; no time is waited for.

import {
  type ConnectPacket,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type PublishPacket,
  type SubscribePacket,
  type UnsubscribePacket,
} from '@godwit/packet'
import type { Address } from '../conformance/wire.ts'
import { TOPICS } from './generator.ts'
import { Participant, Stuck } from './participant.ts'
import type {
  BrokenPublish,
  Connect,
  Message,
  Pipeline,
  Publish,
  Restart,
  Script,
  Step,
  Subscribe,
  Together,
  Unsubscribe,
} from './script.ts'

const WITNESS = '$witness'
const REFUSED = 0x80
const ROUNDS_MAX = 100
/** How often in a row a message may wait for the store: in a group, in a session. */
const WAITS_MAX = 4

/** What came to one connection in one step; null is the end of the connection. */
export interface Received {
  readonly client: string
  readonly packets: readonly (Packet | null)[]
}

/** What came in each step of the script. */
export type Recording = readonly (readonly Received[])[]

/** A broker that scripts are played at. */
export interface Side {
  readonly name: string
  readonly address: Address
  /** Stops it and starts it again on what it has kept; null where it keeps nothing. */
  readonly restart: (() => Promise<void>) | null
}

/** Plays the script, and then removes whatever it has left in the broker. */
export async function play(script: Script, side: Side): Promise<Recording> {
  const player = await Player.start(script, side)
  try {
    const recording: Received[][] = []
    for (const step of script.steps) recording.push(await player.step(step))
    await player.clear()
    return recording
  } finally {
    player.close()
  }
}

class Player {
  readonly #script: Script
  readonly #side: Side
  #witness: Participant
  /** The connection of each client, and those that were taken over in this step. */
  readonly #participants = new Map<string, Participant>()
  readonly #former: Participant[] = []
  #markers = 0

  private constructor(script: Script, side: Side, witness: Participant) {
    this.#script = script
    this.#side = side
    this.#witness = witness
  }

  static async start(script: Script, side: Side): Promise<Player> {
    return new Player(script, side, await openWitness(side.address))
  }

  async step(step: Step): Promise<Received[]> {
    await this.#act(step)
    await this.#settle()
    const all = [...this.#former.splice(0), ...this.#participants.values()]
    for (const [client, { isOver }] of this.#participants) {
      if (isOver) this.#participants.delete(client)
    }
    return all.map(({ client, received }) => ({ client, packets: received.splice(0) }))
  }

  /** Ends all sessions, removes all retained messages. */
  async clear(): Promise<void> {
    for (const participant of this.#participants.values()) await participant.cut()
    this.#participants.clear()
    for (const [client, level] of Object.entries(this.#script.levels)) {
      const participant = await this.#open(connectPacket(client, level, true))
      await participant.answer(PacketType.CONNACK)
      participant.received.length = 0
    }
    for (const topic of TOPICS) this.#witness.send(publishOf(emptyRetained(topic), 0))
    await this.#settle()
    for (const participant of this.#participants.values()) {
      const came = participant.received.length
      if (came > 0) throw new Stuck(`${participant.client} got ${came} packets in a new session`)
      await participant.cut()
    }
    this.#participants.clear()
  }

  close(): void {
    void this.#witness.cut()
    for (const participant of this.#participants.values()) void participant.cut()
  }

  async #act(step: Step): Promise<void> {
    switch (step.does) {
      case 'connect':
        return void (await (await this.#open(step.packet)).answer(PacketType.CONNACK))
      case 'pipeline':
        return await this.#pipeline(step)
      case 'together':
        return void (await Promise.all(step.all.map(one => this.#act(one))))
      case 'restart':
        return await this.#restart()
      default:
        return await this.#actOn(step)
    }
  }

  async #actOn(step: Exclude<Step, Connect | Pipeline | Together | Restart>): Promise<void> {
    const participant = this.#participants.get(step.client)
    // A script that was cut short may have steps without their connection.
    if (participant === undefined) return
    switch (step.does) {
      case 'subscribe':
      case 'unsubscribe': {
        const packet = requestOf(step, participant.packetId())
        participant.send(packet)
        await participant.answer(answerTo(packet), packet.packetId)
        return
      }
      case 'publish':
        return await this.#publish(participant, step)
      case 'broken-publish':
        return await this.#breakPublish(participant, step)
      case 'disconnect': {
        const { reasonCode, properties } = step
        participant.send({ type: PacketType.DISCONNECT, reasonCode, properties })
        return await participant.ended()
      }
      case 'cut':
        return await participant.cut()
      case 'hold':
        return participant.holdNow(step.hold)
    }
  }

  /** Opens a connection in the place of the one that the client has. */
  async #open(
    packet: ConnectPacket,
    more: (participant: Participant) => readonly Packet[] = () => [],
  ): Promise<Participant> {
    const { clientId, protocolLevel } = packet
    const former = this.#participants.get(clientId)
    const participant = await Participant.open(clientId, protocolLevel, this.#side.address)
    this.#participants.set(clientId, participant)
    participant.send(packet, ...more(participant))
    if (former !== undefined) {
      this.#former.push(former)
      await former.ended()
    }
    return participant
  }

  async #pipeline(step: Pipeline): Promise<void> {
    const wanted: (readonly [type: number, packetId: number])[] = [[PacketType.CONNACK, 0]]
    const participant = await this.#open(step.packet, client => {
      const packets: Packet[] = []
      for (const part of step.parts) {
        if (part.does === 'publish') {
          const all = part.messages.map(message => publishOf(message, client.packetId()))
          packets.push(...all)
          for (const { qos, packetId } of all)
            if (qos > 0) wanted.push([PacketType.PUBACK, packetId])
        } else {
          const request = requestOf(part, client.packetId())
          packets.push(request)
          wanted.push([answerTo(request), request.packetId])
        }
      }
      const { DISCONNECT: type } = PacketType
      if (step.leaves) packets.push({ type, reasonCode: 0, properties: NO_PROPERTIES })
      return packets
    })
    if (step.leaves) {
      await participant.ended()
      participant.received.length = 0
    } else {
      for (const [type, packetId] of wanted) await participant.answer(type, packetId)
    }
  }

  async #restart(): Promise<void> {
    for (const participant of this.#participants.values()) {
      await participant.cut()
      // Its will may go to the next one, which must not leave while that is on its way.
      await this.#settle()
    }
    if (this.#side.restart === null) return
    await this.#witness.cut()
    await this.#side.restart()
    this.#witness = await openWitness(this.#side.address)
  }

  async #publish(participant: Participant, step: Publish): Promise<void> {
    const packets = step.messages.map(message => publishOf(message, participant.packetId()))
    participant.send(...packets)
    for (const { qos, packetId } of packets) {
      if (qos === 1) await participant.answer(PacketType.PUBACK, packetId)
      if (qos === 2) await this.#release(participant, packetId)
    }
    await participant.ping()
  }

  async #release(participant: Participant, packetId: number): Promise<void> {
    const answer = await participant.answer(PacketType.PUBREC, packetId)
    if (answer?.type === PacketType.PUBREC && answer.reasonCode >= REFUSED) return
    participant.send({ type: PacketType.PUBREL, packetId, reasonCode: 0, properties: {} })
    await participant.answer(PacketType.PUBCOMP, packetId)
  }

  /** A QoS 2 exchange over two connections: whatever came is sent again, as a client has to. */
  async #breakPublish(first: Participant, step: BrokenPublish): Promise<void> {
    const packetId = 60_000
    const packet = publishOf(step.message, packetId)
    const release = { type: PacketType.PUBREL, packetId, reasonCode: 0, properties: {} } as const
    const { after } = step
    first.send(packet)
    if (after !== 'publish') {
      await first.answer(PacketType.PUBREC, packetId)
      if (after !== 'pubrec') first.send(release)
      if (after === 'pubcomp') await first.answer(PacketType.PUBCOMP, packetId)
    }
    await this.#settle()
    const kept = first.received.filter(isForAnybody)
    await first.cut()
    const second = await this.#open(step.packet)
    // What came before belongs to this step as well, but for what only the exchange is about.
    second.received.push(...kept)
    first.received.length = 0
    await second.answer(PacketType.CONNACK)
    if (after === 'publish') second.send({ ...packet, dup: true })
    if (after === 'publish') await this.#release(second, packetId)
    else {
      second.send(release)
      await second.answer(PacketType.PUBCOMP, packetId)
    }
    const rest = second.received.filter(other => other === null || isForAnybody(other))
    second.received.splice(0, second.received.length, ...rest)
  }

  /** Goes around until a whole round has brought nothing new to anybody. */
  async #settle(): Promise<void> {
    for (let rounds = 0; rounds < ROUNDS_MAX; rounds++) {
      const before = this.#count()
      await this.#pingAll()
      for (let marks = 0; marks < WAITS_MAX; marks++) await this.#mark()
      await this.#pingAll()
      if (this.#count() === before) return
    }
    throw new Stuck('the broker does not come to rest')
  }

  #count(): number {
    const all = [...this.#participants.values(), ...this.#former]
    return all.reduce((sum, { received }) => sum + received.length, 0)
  }

  async #pingAll(): Promise<void> {
    await Promise.all([...this.#participants.values()].map(participant => participant.ping()))
  }

  /** A message from the witness to itself, through the store. */
  async #mark(): Promise<void> {
    const payload = `${++this.#markers}`
    const marker = { ...emptyRetained(`${WITNESS}/m`), payload, qos: 1 as const, retain: false }
    const packetId = this.#witness.packetId()
    const { received } = this.#witness
    this.#witness.send(publishOf(marker, packetId))
    const isMarker = (packet: Packet | null): boolean =>
      packet?.type === PacketType.PUBLISH && Buffer.from(packet.payload).toString() === payload
    await this.#witness.until(() => received.some(isMarker), 'its own message')
    await this.#witness.answer(PacketType.PUBACK, packetId)
    received.length = 0
  }
}

/** Its session is kept, so that a marker that has come is behind all that had to be stored. */
async function openWitness(address: Address): Promise<Participant> {
  const witness = await Participant.open(WITNESS, 4, address)
  witness.send(connectPacket('witness', 4, false))
  await witness.answer(PacketType.CONNACK)
  const filter = `${WITNESS}/#`
  const request = { filter, qos: 1, noLocal: false, retainAsPublished: false } as const
  const requests = [{ ...request, retainHandling: 0 }] as const
  const step = { does: 'subscribe', client: WITNESS, requests, properties: NO_PROPERTIES } as const
  witness.send(requestOf(step, witness.packetId()))
  await witness.answer(PacketType.SUBACK)
  return witness
}

function requestOf(
  step: Subscribe | Unsubscribe,
  packetId: number,
): SubscribePacket | UnsubscribePacket {
  if (step.does === 'subscribe') {
    const { requests: subscriptions, properties } = step
    return { type: PacketType.SUBSCRIBE, packetId, subscriptions, properties }
  }
  const { filters } = step
  return { type: PacketType.UNSUBSCRIBE, packetId, filters, properties: NO_PROPERTIES }
}

function answerTo({ type }: SubscribePacket | UnsubscribePacket): number {
  return type === PacketType.SUBSCRIBE ? PacketType.SUBACK : PacketType.UNSUBACK
}

function isForAnybody(packet: Packet | null): boolean {
  const types: readonly number[] = [PacketType.PUBLISH, PacketType.PUBREL, PacketType.CONNACK]
  return packet !== null && types.includes(packet.type)
}

function emptyRetained(topic: string): Message {
  const properties = NO_PROPERTIES
  return { topic, payload: '', qos: 0, retain: true, alias: 0, aliasOnly: false, properties }
}

function publishOf(message: Message, packetId: number): PublishPacket {
  const { topic, payload, qos, retain, alias, aliasOnly, properties } = message
  return {
    type: PacketType.PUBLISH,
    topic: aliasOnly ? '' : topic,
    payload: Buffer.from(payload),
    qos,
    retain,
    dup: false,
    packetId: qos === 0 ? 0 : packetId,
    properties: alias === 0 ? properties : { ...properties, topicAlias: alias },
  }
}

function connectPacket(
  clientId: string,
  protocolLevel: ConnectPacket['protocolLevel'],
  cleanStart: boolean,
): ConnectPacket {
  return {
    type: PacketType.CONNECT,
    protocolLevel,
    cleanStart,
    keepAliveSeconds: 0,
    clientId,
    will: null,
    username: null,
    password: null,
    bridge: false,
    properties: NO_PROPERTIES,
  }
}
