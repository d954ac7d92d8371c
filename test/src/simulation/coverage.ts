// What a run has really met, element by element: a simulation that no longer does something finds
// nothing in it. `simulation.long.test.ts` asks that each occurs in enough of its seeds.

import type { LedgerEntry } from '@godwit/broker/core/ledger'
import { type Packet, PacketType, parseSharedFilter } from '@godwit/packet'

export const ELEMENTS = [
  'a client speaks MQTT 3.1',
  'a client speaks MQTT 3.1.1',
  'a client speaks MQTT 5',
  'a client has the session of the library',
  'QoS 0 comes',
  'QoS 1 comes',
  'QoS 2 comes',
  'QoS 0 goes out',
  'QoS 1 goes out',
  'QoS 2 goes out',
  'a client repeats a message',
  'the broker repeats a message',
  'a message is retained',
  'a retained message is cleared',
  'a retained message goes to a new subscription',
  'a retained message is cleared on its way to a new subscription',
  'an own message is withheld',
  'an alias stands for a topic that comes',
  'an alias stands for a topic that goes out',
  'a client has a will',
  'a client has a will with a delay',
  'a will has an expiry',
  'a will is delivered',
  'a will is delivered after its delay',
  'a will is given up, since its client came back',
  'a will is given up, since its client said goodbye',
  'a will with a delay is given up at a takeover',
  'a will is delivered at a takeover',
  'a will is delivered after a goodbye',
  'a client publishes before its CONNACK',
  'a client subscribes before its CONNACK',
  'a client says goodbye before its CONNACK',
  'packets wait behind a CONNECT that a guard decides about',
  'a CONNECT is refused',
  'a CONNECT is refused, and more came behind it',
  'a goodbye changes an expiry',
  'a subscription is replaced by one with other options',
  'a message has several subscription identifiers',
  'a message keeps its properties',
  'a shared subscription is made',
  'a group owes a message',
  'a member of a group goes with messages under way',
  'a session is resumed',
  'a session is resumed by another process',
  'a session has expired',
  'a clean start ends a session',
  'a message has an expiry',
  'a message expires',
  'a message expires while the process is away',
  'a client has a small Receive Maximum',
  'a client has a Receive Maximum of 1',
  'the window of a client is full',
  'a client has a small Maximum Packet Size',
  'a message is too large for its client',
  'a queue is full',
  'a slow client is not given QoS 0',
  'a message is refused for want of room',
  'a subscription is refused',
  'a packet comes in pieces',
  'several packets come at once',
  'bytes are late',
  'a write finds the client slow',
  'a connection breaks',
  'a connection goes silent',
  'a client does not read',
  'a client is taken over',
  'keep alive ends a connection',
  'an acknowledgement waits for the store',
  'a page of a queue is read',
  'a process dies',
  'a process dies while the disk is written',
  'all that was not synced is lost after a promise',
  'a process ends at a named point',
  'a sync fails',
  'the disk is full',
  'a full disk refuses a message',
  'a client acknowledges while the disk is full',
  'a process stands still',
  'the wall clock jumps',
  'the embedder publishes',
  'a guard thinks',
  'a publisher rests',
  'a publisher rests for more than a turn',
  'a publisher goes while it rests',
  'a publisher is taken over while it rests',
  'a group is looked at in another turn',
  'a client is not read for its answers',
  'a client breaks the protocol',
  'DISCONNECT says malformed packet',
  'DISCONNECT says protocol error',
  'DISCONNECT says not authorized',
  'DISCONNECT says keep alive timeout',
  'DISCONNECT says session taken over',
  'DISCONNECT says alias invalid',
  'DISCONNECT says packet too large',
  'DISCONNECT says administrative action',
  'a guard refuses a message',
  'SCRAM lets a client in',
  'SCRAM is said again',
  'SCRAM keeps a client out',
  'a wrong password ends a connection',
  'the real store is used',
  'a plain store is used',
] as const

export type Element = (typeof ELEMENTS)[number]

const SMALL_RECEIVE_MAXIMUM = 3
const CODE_QUOTA = 0x97
const CODE_FAILURE = 0x80

/** By the begin of what a run says of itself. */
const NOTES: readonly (readonly [RegExp, Element])[] = [
  [/^link \d+ breaks/, 'a connection breaks'],
  [/^link \d+ goes silent/, 'a connection goes silent'],
  [/^link \d+ is not read/, 'a client does not read'],
  [/detached: taken over/, 'a client is taken over'],
  [/detached: keep alive/, 'keep alive ends a connection'],
  [/^the process dies/, 'a process dies'],
  [/^the process ends at/, 'a process ends at a named point'],
  [/^the store failed/, 'a sync fails'],
  [/^the disk is full/, 'the disk is full'],
  [/^the process stands still/, 'a process stands still'],
  [/^the wall clock jumps/, 'the wall clock jumps'],
  [/^the embedder publishes/, 'the embedder publishes'],
]

const DISMISSALS: ReadonlyMap<number, Element> = new Map([
  [0x81, 'DISCONNECT says malformed packet'],
  [0x82, 'DISCONNECT says protocol error'],
  [0x87, 'DISCONNECT says not authorized'],
  [0x8d, 'DISCONNECT says keep alive timeout'],
  [0x8e, 'DISCONNECT says session taken over'],
  [0x94, 'DISCONNECT says alias invalid'],
  [0x95, 'DISCONNECT says packet too large'],
  [0x98, 'DISCONNECT says administrative action'],
])

const LOSSES: Readonly<Partial<Record<LedgerEntry['reason'], Element>>> = {
  expired: 'a message expires',
  'packet-too-large': 'a message is too large for its client',
  'queue-full': 'a queue is full',
  'total-queue-full': 'a queue is full',
  'outgoing-full': 'a slow client is not given QoS 0',
  'not-authorized': 'a guard refuses a message',
}

export class Coverage {
  readonly #counts = new Map<Element, number>(ELEMENTS.map(element => [element, 0]))

  get counts(): ReadonlyMap<Element, number> {
    return this.#counts
  }

  count(element: Element, times = 1): void {
    this.#counts.set(element, (this.#counts.get(element) ?? 0) + times)
  }

  note(text: string): void {
    for (const [pattern, element] of NOTES) if (pattern.test(text)) this.count(element)
  }

  /** A client gets DISCONNECT. */
  dismissed(reasonCode: number): void {
    const element = DISMISSALS.get(reasonCode)
    if (element !== undefined) this.count(element)
  }

  losses(ledger: readonly LedgerEntry[]): void {
    for (const { reason, count } of ledger) {
      const element = LOSSES[reason]
      if (element !== undefined) this.count(element, count)
    }
  }

  incoming(packet: Packet): void {
    switch (packet.type) {
      case PacketType.CONNECT: {
        const { will, properties } = packet
        if (will !== null) this.count('a client has a will')
        if (will?.properties.messageExpiryInterval !== undefined) {
          this.count('a will has an expiry')
        }
        if ((will?.properties.willDelayInterval ?? 0) > 0) {
          this.count('a client has a will with a delay')
        }
        if ((properties.receiveMaximum ?? 65_535) <= SMALL_RECEIVE_MAXIMUM) {
          this.count('a client has a small Receive Maximum')
        }
        if (properties.receiveMaximum === 1) this.count('a client has a Receive Maximum of 1')
        if (properties.maximumPacketSize !== undefined) {
          this.count('a client has a small Maximum Packet Size')
        }
        break
      }
      case PacketType.PUBLISH: {
        this.count(`QoS ${packet.qos} comes`)
        if (packet.dup) this.count('a client repeats a message')
        if (packet.topic === '') this.count('an alias stands for a topic that comes')
        if (packet.retain) {
          const isEmpty = packet.payload.length === 0
          this.count(isEmpty ? 'a retained message is cleared' : 'a message is retained')
        }
        if (packet.properties.messageExpiryInterval !== undefined) {
          this.count('a message has an expiry')
        }
        break
      }
      case PacketType.SUBSCRIBE:
        for (const { filter } of packet.subscriptions) {
          if (parseSharedFilter(filter) !== null) this.count('a shared subscription is made')
        }
        break
      case PacketType.AUTH:
        if (packet.reasonCode === 0x19) this.count('SCRAM is said again')
        break
      default:
    }
  }

  outgoing(packet: Packet): void {
    switch (packet.type) {
      case PacketType.CONNACK:
        if (packet.reasonCode === 0 && packet.properties.authenticationData !== undefined) {
          this.count('SCRAM lets a client in')
        }
        break
      case PacketType.PUBLISH:
        this.count(`QoS ${packet.qos} goes out`)
        if (packet.dup) this.count('the broker repeats a message')
        if (packet.topic === '') this.count('an alias stands for a topic that goes out')
        break
      case PacketType.PUBACK:
      case PacketType.PUBREC:
        if (packet.reasonCode === CODE_QUOTA) this.count('a message is refused for want of room')
        break
      case PacketType.SUBACK:
        if (packet.reasonCodes.some(code => code >= CODE_FAILURE)) {
          this.count('a subscription is refused')
        }
        break
      default:
    }
  }
}

/** In how many runs, and how often in all, each occurred. */
export class Survey {
  runs = 0
  readonly seeds: Map<Element, number> = new Map()
  readonly #times = new Map<Element, number>()

  add(counts: ReadonlyMap<Element, number>): void {
    this.runs++
    for (const [element, count] of counts) {
      this.seeds.set(element, (this.seeds.get(element) ?? 0) + (count > 0 ? 1 : 0))
      this.#times.set(element, (this.#times.get(element) ?? 0) + count)
    }
  }

  /** What occurred in less than this share of the runs. */
  rare(share: number): string[] {
    const least = this.runs * share
    return ELEMENTS.filter(element => (this.seeds.get(element) ?? 0) < least)
  }

  lines(): string[] {
    return ELEMENTS.map(element => {
      const seeds = String(this.seeds.get(element) ?? 0).padStart(6)
      const times = String(this.#times.get(element) ?? 0).padStart(10)
      return `${seeds} of ${this.runs} seeds, ${times} times: ${element}`
    })
  }
}
