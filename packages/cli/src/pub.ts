// The command `godwit pub`: publishes messages and ends when all of them are acknowledged.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import {
  NO_PROPERTIES,
  type Packet,
  PacketError,
  PacketIds,
  PacketType,
  type QoS,
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

export interface PubFlags extends ClientFlags {
  readonly topic?: string
  readonly message?: string
  readonly file?: string
  readonly stdinLine?: boolean
  readonly stdinFile?: boolean
  readonly nullMessage?: boolean
  readonly retain?: boolean
  readonly wait?: boolean
}

const FAILURE = 0x80
const NO_SUBSCRIBERS = 0x10
const DEFAULT_WINDOW = 20

/** @returns the exit code */
export async function pub(
  flags: PubFlags,
  topicArgument: string | undefined,
  messageArgument: string | undefined,
): Promise<number> {
  const topic = flags.topic ?? topicArgument
  if (topic === undefined) throw new CommandFailure('no topic: -t TOPIC', CLIENT_USAGE)
  const messages = messagesOf(flags, messageArgument)
  const connect = connectPacketOf(flags)
  const qos = parseQos('-q', flags.qos)
  const dump = flags.debug === true || flags.dump === true
  const connection = new MqttConnection(openStream(flags), connect.protocolLevel, dump)
  const publisher = new Publisher(connection, topic, qos, flags.retain === true)
  try {
    const connack = await connection.open(connect, packet => publisher.take(packet))
    publisher.window = Math.min(connack.properties.receiveMaximum ?? DEFAULT_WINDOW, DEFAULT_WINDOW)
    for await (const payload of messages) {
      await Promise.race([publisher.publish(payload), connection.failed])
    }
    await Promise.race([publisher.finished(), connection.failed])
    if (flags.wait === true) await connection.failed
    await connection.disconnect()
    return publisher.exitCode
  } catch (error) {
    connection.destroy()
    if (error instanceof PacketError) throw new CommandFailure(error.message, CLIENT_USAGE)
    throw error
  }
}

type Payloads = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

function messagesOf(flags: PubFlags, argument: string | undefined): Payloads {
  const text = flags.message ?? argument
  if (text !== undefined) return [new TextEncoder().encode(text)]
  if (flags.nullMessage === true) return [new Uint8Array(0)]
  if (flags.file !== undefined) return [readInput(flags.file)]
  if (flags.stdinFile === true) return [readInput(0)]
  if (flags.stdinLine === true) return lines()
  throw new CommandFailure('no message: -m TEXT, -f FILE, -l, -s or -n', CLIENT_USAGE)
}

function readInput(file: string | number): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new CommandFailure(`the message cannot be read: ${text}`, CLIENT_USAGE)
  }
}

async function* lines(): AsyncIterable<Uint8Array> {
  const encoder = new TextEncoder()
  const input = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })
  for await (const line of input) yield encoder.encode(line)
}

/** Messages on their way out: at most a window of them is unacknowledged. */
class Publisher {
  window: number = DEFAULT_WINDOW
  exitCode = 0
  private readonly connection: MqttConnection
  private readonly topic: string
  private readonly qos: QoS
  private readonly retain: boolean
  private readonly ids = new PacketIds()
  private readonly unacknowledged = new Set<number>()
  private changed: () => void = () => undefined

  constructor(connection: MqttConnection, topic: string, qos: QoS, retain: boolean) {
    this.connection = connection
    this.topic = topic
    this.qos = qos
    this.retain = retain
  }

  /** Resolves when the next message may follow. */
  async publish(payload: Uint8Array): Promise<void> {
    while (this.unacknowledged.size >= this.window) await this.change()
    const packetId = this.qos === 0 ? 0 : this.ids.take()
    if (packetId !== 0) this.unacknowledged.add(packetId)
    const { topic, qos, retain } = this
    const type = PacketType.PUBLISH
    const properties = NO_PROPERTIES
    const packet = { type, topic, payload, qos, retain, dup: false, packetId, properties }
    if (!this.connection.send(packet)) await this.connection.drained()
  }

  /** Resolves when all is acknowledged and written. */
  async finished(): Promise<void> {
    while (this.unacknowledged.size > 0) await this.change()
    await this.connection.drained()
  }

  take(packet: Packet): void {
    switch (packet.type) {
      case PacketType.PUBACK:
      case PacketType.PUBCOMP:
        this.settle(packet.packetId, packet.reasonCode)
        break
      case PacketType.PUBREC: {
        const { packetId, reasonCode } = packet
        if (reasonCode >= FAILURE) this.settle(packetId, reasonCode)
        else {
          const type = PacketType.PUBREL
          this.connection.send({ type, packetId, reasonCode: 0, properties: NO_PROPERTIES })
        }
        break
      }
    }
  }

  private settle(packetId: number, reasonCode: number): void {
    if (!this.unacknowledged.delete(packetId)) return
    this.ids.release(packetId)
    if (reasonCode >= FAILURE) {
      process.stderr.write(`Error: the broker refused the message: reason code ${reasonCode}\n`)
      this.exitCode = reasonCode
    } else if (reasonCode === NO_SUBSCRIBERS) {
      process.stderr.write('Warning: the message has no subscribers\n')
    }
    this.changed()
  }

  private change(): Promise<void> {
    return new Promise(resolve => {
      this.changed = resolve
    })
  }
}
