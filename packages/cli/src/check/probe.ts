// What a probe of `godwit check` has to work with: clients of the broker under test, and the time
// it may take. What is probed is in features.ts and limits.ts.

import type { Socket } from 'node:net'
import {
  type Client,
  type ConnectOptions,
  connect,
  type Message,
  MqttError,
  type Subscription,
} from '@godwit/client'
import { encodeUtf8, type ProtocolLevel } from '@godwit/packet'
import { dial } from '../network/dial.ts'
import { webSocketOptions, webSocketUrl } from '../network/web-socket.ts'
import type { ClientChoice } from '../options/choice.ts'

/** What a probe has found. */
export interface Finding {
  /** As JSON names it. */
  readonly id: string
  readonly name: string
  /** Whether it works; null: it could not be tried. */
  readonly works: boolean | null
  /** What the broker said in CONNACK, null when it says nothing about it. */
  readonly declared: boolean | null
  readonly detail: string
}

/** A number that the broker declared or that was measured. */
export interface Limit {
  readonly id: string
  readonly name: string
  readonly value: number | string | null
  readonly detail: string
}

/** Thrown by a probe whose broker did not do what it should. */
export class ProbeFailure extends Error {
  override readonly name = 'ProbeFailure'
}

/** Long enough that a broker may use a topic alias for it. */
const TOPIC_PREFIX = 'godwit-check'

export class Probing {
  readonly choice: ClientChoice
  readonly level: ProtocolLevel
  readonly timeoutMs: number
  /** Below which every topic of this run is. */
  readonly root: string
  private readonly password: Uint8Array | null
  private readonly open = new Set<Client>()
  private readonly sockets = new Map<Client, Socket>()

  constructor(
    choice: ClientChoice,
    level: ProtocolLevel,
    password: Uint8Array | null,
    run: string,
    timeoutMs: number,
  ) {
    this.choice = choice
    this.level = level
    this.password = password
    this.root = `${TOPIC_PREFIX}/${run}`
    this.timeoutMs = timeoutMs
  }

  /** @throws MqttError */
  async connect(options: ConnectOptions = {}): Promise<Client> {
    const { choice, password } = this
    let socket: Socket | null = null
    const dialled = async (): Promise<Socket> => {
      socket = await dial(choice, AbortSignal.timeout(this.timeoutMs))
      return socket
    }
    const client = await connect(choice.webSocket ? webSocketUrl(choice) : dialled, {
      protocolVersion: this.level,
      connectTimeoutMs: this.timeoutMs,
      operationTimeoutMs: this.timeoutMs,
      closeTimeoutMs: this.timeoutMs,
      reconnect: false,
      ...(choice.username === null ? {} : { username: choice.username }),
      ...(password === null ? {} : { password }),
      ...(choice.webSocket ? webSocketOptions(choice) : {}),
      ...options,
    })
    this.open.add(client)
    if (socket !== null) this.sockets.set(client, socket)
    return client
  }

  /** Ends the connection without DISCONNECT, as a crash would. */
  async crash(client: Client): Promise<void> {
    const socket = this.sockets.get(client)
    if (socket !== undefined) {
      socket.destroy()
      await client.closed
      return
    }
    // The client's own WebSocket is out of reach: the broker closes it for one of the same name.
    const other = await this.connect({ clientId: client.clientId })
    await client.closed
    await other.close()
  }

  socketOf(client: Client): Socket | null {
    return this.sockets.get(client) ?? null
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.open].map(client => client.close()))
  }

  /** A topic that no other probe uses. */
  topic(name: string): string {
    return `${this.root}/${name}`
  }

  /** Publishes and waits for the acknowledgement. @throws MqttError */
  async publish(
    client: Client,
    topic: string,
    payload: string,
    options: Parameters<Client['publish']>[2] = {},
  ): Promise<void> {
    await client.publish(topic, encodeUtf8(payload), { timeoutMs: this.timeoutMs, ...options })
  }

  async clear(client: Client, topic: string): Promise<void> {
    await this.publish(client, topic, '', { qos: 1, retain: true })
  }

  /** The next message. @throws ProbeFailure when none comes */
  async next(subscription: Subscription): Promise<Message> {
    const timer = new Promise<null>(resolve => {
      setTimeout(resolve, this.timeoutMs, null).unref()
    })
    const result = await Promise.race([subscription.next(), timer])
    if (result === null) throw new ProbeFailure('the message did not arrive')
    if (result.done === true) throw new ProbeFailure('the subscription ended')
    return result.value
  }

  /** The messages before one that says `end`. @throws ProbeFailure */
  async until(subscription: Subscription, end: string): Promise<Message[]> {
    const messages: Message[] = []
    for (;;) {
      const message = await this.next(subscription)
      if (message.text() === end) return messages
      messages.push(message)
    }
  }
}

/** Runs a probe; what it throws is why the feature does not work. */
export async function attempt(
  id: string,
  name: string,
  declared: boolean | null,
  probe: () => Promise<string>,
): Promise<Finding> {
  try {
    return { id, name, works: true, declared, detail: await probe() }
  } catch (error) {
    if (!(error instanceof ProbeFailure || error instanceof MqttError)) throw error
    return { id, name, works: false, declared, detail: error.message }
  }
}

/** @throws ProbeFailure */
export function expect(condition: boolean, text: string): void {
  if (!condition) throw new ProbeFailure(text)
}
