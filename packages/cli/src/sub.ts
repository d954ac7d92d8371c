// The command `godwit sub`: subscribes and prints what comes, until it has enough or is stopped.

import {
  isTopicFilter,
  NO_PROPERTIES,
  type Packet,
  PacketType,
  type PublishPacket,
  type QoS,
  topicMatches,
} from '@godwit/packet'
import { MqttConnection } from './connection.ts'
import {
  CLIENT_USAGE,
  type ClientFlags,
  connectPacketOf,
  openStream,
  parseQos,
} from './connection-options.ts'
import { CommandFailure } from './failure.ts'
import { parseCount, parseSeconds } from './values.ts'

export interface SubFlags extends ClientFlags {
  readonly topic?: readonly string[]
  readonly verbose?: boolean
  readonly count?: string
  readonly timeout?: string
  readonly noEol?: boolean
  readonly noRetained?: boolean
  readonly retainedOnly?: boolean
  readonly filterOut?: readonly string[]
  readonly exitAfterSubscribe?: boolean
}

/** Exit code of Mosquitto when the time of -W is over. */
const TIMED_OUT = 27
const FAILURE = 0x80

/** @returns the exit code */
export async function sub(flags: SubFlags, filters: readonly string[]): Promise<number> {
  const wanted = [...(flags.topic ?? []), ...filters]
  if (wanted.length === 0) throw new CommandFailure('no topic: -t FILTER', CLIENT_USAGE)
  const wrong = wanted.find(filter => !isTopicFilter(filter))
  if (wrong !== undefined) {
    throw new CommandFailure(`${JSON.stringify(wrong)} is not a topic filter`, CLIENT_USAGE)
  }
  const connect = connectPacketOf(flags)
  const qos = parseQos('-q', flags.qos)
  const dump = flags.debug === true || flags.dump === true
  const connection = new MqttConnection(openStream(flags), connect.protocolLevel, dump)
  const subscriber = new Subscriber(connection, flags)
  const stop = stopper(flags.timeout)
  try {
    await Promise.race([connection.open(connect, packet => subscriber.take(packet)), stop.stopped])
    subscriber.subscribe(wanted, qos)
    const code = await Promise.race([subscriber.done, stop.stopped, connection.failed])
    await connection.disconnect()
    return code
  } catch (error) {
    connection.destroy()
    throw error
  } finally {
    stop.clear()
  }
}

/** Ends with 27 when the time is over, with 0 on a signal. */
function stopper(timeout: string | undefined): { stopped: Promise<number>; clear(): void } {
  let timer: NodeJS.Timeout | null = null
  let onSignal = (): void => undefined
  const stopped = new Promise<number>(resolve => {
    onSignal = () => resolve(0)
    if (timeout === undefined) return
    timer = setTimeout(() => resolve(TIMED_OUT), parseSeconds('-W', timeout) * 1000)
  })
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  return {
    stopped,
    clear: () => {
      if (timer !== null) clearTimeout(timer)
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}

class Subscriber {
  readonly done: Promise<number>
  private readonly connection: MqttConnection
  private readonly flags: SubFlags
  /** QoS 2 messages that were printed and are not released. */
  private readonly received = new Set<number>()
  private left: number
  private finish: (code: number) => void = () => undefined

  constructor(connection: MqttConnection, flags: SubFlags) {
    this.connection = connection
    this.flags = flags
    this.left = flags.count === undefined ? Number.POSITIVE_INFINITY : parseCount('-C', flags.count)
    this.done = new Promise(resolve => {
      this.finish = resolve
    })
  }

  subscribe(filters: readonly string[], qos: QoS): void {
    this.connection.send({
      type: PacketType.SUBSCRIBE,
      packetId: 1,
      subscriptions: filters.map(filter => ({
        filter,
        qos,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: this.flags.noRetained === true ? 2 : 0,
      })),
      properties: NO_PROPERTIES,
    })
  }

  take(packet: Packet): void {
    switch (packet.type) {
      case PacketType.SUBACK: {
        const refused = packet.reasonCodes.filter(code => code >= FAILURE)
        if (refused.length > 0) process.stderr.write(`Error: refused: ${refused.join(', ')}\n`)
        if (refused.length === packet.reasonCodes.length) this.finish(refused[0] ?? 1)
        else if (this.flags.exitAfterSubscribe === true) this.finish(0)
        break
      }
      case PacketType.PUBLISH:
        this.message(packet)
        break
      case PacketType.PUBREL:
        this.received.delete(packet.packetId)
        this.acknowledge(PacketType.PUBCOMP, packet.packetId)
        break
    }
  }

  private message(packet: PublishPacket): void {
    const { qos, packetId } = packet
    if (this.left === 0) return
    if (!this.received.has(packetId) && this.isWanted(packet)) {
      this.print(packet)
      this.left--
    }
    if (qos === 1) this.acknowledge(PacketType.PUBACK, packetId)
    if (qos === 2) {
      this.received.add(packetId)
      this.acknowledge(PacketType.PUBREC, packetId)
    }
    if (this.left === 0) this.finish(0)
  }

  private isWanted({ topic, retain }: PublishPacket): boolean {
    const { noRetained, retainedOnly, filterOut = [] } = this.flags
    if (retain ? noRetained === true : retainedOnly === true) return false
    return !filterOut.some(filter => topicMatches(filter, topic))
  }

  private print({ topic, payload }: PublishPacket): void {
    const { verbose, noEol } = this.flags
    if (verbose === true) process.stdout.write(`${topic} `)
    process.stdout.write(payload)
    if (noEol !== true) process.stdout.write('\n')
  }

  private acknowledge(type: 4 | 5 | 7, packetId: number): void {
    this.connection.send({ type, packetId, reasonCode: 0, properties: NO_PROPERTIES })
  }
}
