// What a client keeps of its session when its connection is gone: what is not finished, in
// both directions. It never forgets by itself; what the server says about the session decides.

import type { Properties, QoS } from '@godwit/packet'

export const Stage = {
  /** Never sent. */
  WAITING: 0,
  SENT: 1,
  /** PUBREC has come. */
  RELEASED: 2,
} as const

export interface OutgoingMessage {
  readonly key: string
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
  packetId: number
  stage: number
  /** Not sent on this connection yet. */
  unsent: boolean
  /** Sent as PUBLISH on this connection: it takes one of the server's receive maximum. */
  counted: boolean
  /** Sent behind CONNECT, before its answer: it is of whatever session CONNACK tells of. */
  isEarly: boolean
}

export class ClientState {
  outgoing: OutgoingMessage[] = []
  /** Packet identifiers of QoS 2 messages that came and were not released. */
  readonly incoming: Set<number> = new Set()
  #nextId = 1

  freeId(): number {
    const used = new Set(this.outgoing.map(message => message.packetId))
    while (used.has(this.#nextId)) this.#nextId = (this.#nextId % 65_535) + 1
    const id = this.#nextId
    this.#nextId = (id % 65_535) + 1
    return id
  }

  find(packetId: number): OutgoingMessage | undefined {
    return this.outgoing.find(
      message => message.packetId === packetId && message.stage !== Stage.WAITING,
    )
  }

  remove(message: OutgoingMessage): void {
    this.outgoing = this.outgoing.filter(other => other !== message)
  }

  /** The server has no session: what was under way is given up. */
  forget(): void {
    this.outgoing = this.outgoing.filter(
      message => message.stage === Stage.WAITING || message.isEarly,
    )
    this.incoming.clear()
  }

  /** The connection is over. @param isRefused the server has handled nothing of it */
  endEarly(isRefused: boolean): void {
    for (const message of this.outgoing) {
      if (!message.isEarly) continue
      message.isEarly = false
      if (!isRefused) continue
      message.stage = Stage.WAITING
      message.unsent = true
      message.counted = false
    }
  }

  /** A new connection resumes the session. */
  rewind(): void {
    for (const message of this.outgoing) {
      if (message.isEarly) continue
      message.unsent = true
      message.counted = false
    }
  }
}
