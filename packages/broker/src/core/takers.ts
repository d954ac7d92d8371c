// Who of a shared group takes a message: who has room for it, may have its topic, and takes packets
// of its size. MQTT 5.0 sections 3.1.2.11.4 and 4.8.2.

import type { Broker } from './broker.ts'
import { Form } from './keep.ts'
import { type Message, NEVER_EXPIRES, publishBytes } from './message.ts'
import type { Group } from './shared.ts'
import type { Subscription } from './subscriptions.ts'

/** For what a frame gets on its way: expiry, subscription identifier, a packet identifier. */
const FRAME_ROOM_BYTES = 16

const NO_LIMIT = Number.POSITIVE_INFINITY

type IsReady = (member: Subscription) => boolean

export class Takers {
  /** Nobody takes it now, and somebody may later: who is busy, or away. */
  waits = false
  /** It is too large for somebody who has room: messages of its topic need not wait behind it. */
  othersPass = false
  /** Somebody who may have it takes no packet so large. */
  isTooLarge = false
  /** Of those who take it the smallest limit of packets: who has a smaller one does not. */
  private limit = NO_LIMIT
  private readonly broker: Broker
  private readonly form = new Form()
  private readonly identifiers: [number] = [0]

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** The member that gets the message now, from the one in turn on; null: the fields say why. */
  search(group: Group, message: Message, ready: IsReady): Subscription | null {
    const { members, turn } = group
    const count = members.length
    this.waits = false
    this.othersPass = false
    this.isTooLarge = false
    this.limit = NO_LIMIT
    group.lookedAt += count
    for (let i = 0; i < count; i++) {
      const at = (turn + i) % count
      const member = members[at] as Subscription
      if (!this.broker.mayReceive(member.session, message.topic)) continue
      if (!this.fits(member, message)) {
        this.isTooLarge = true
        if (!this.othersPass) this.othersPass = ready(member)
      } else if (ready(member)) {
        group.turn = at + 1
        return member
      } else {
        this.waits = true
        this.limit = Math.min(this.limit, member.session.connection?.sendBytesMax ?? NO_LIMIT)
      }
    }
    return null
  }

  /**
   * After a search that found nobody: messages of the topic have the same key when the same members
   * take packets so large. No topic has a null character.
   */
  sizeKey(topic: string): string {
    return `${topic}\0${this.limit}`
  }

  /** Whether the member may have it and takes a packet so large. */
  takes(member: Subscription, message: Message): boolean {
    return this.fits(member, message) && this.broker.mayReceive(member.session, message.topic)
  }

  /** Who is away may come back and take more than before. */
  private fits(member: Subscription, message: Message): boolean {
    const { connection } = member.session
    if (connection === null) return true
    const most = connection.sendBytesMax
    // Its topic is not in the frame when it came with an alias.
    const isWhole = message.topicFrom === message.bytes
    if (isWhole && message.byteLength + FRAME_ROOM_BYTES <= most) return true
    const { form, identifiers } = this
    form.level5 = connection.level5
    form.qos = message.qos < member.qos ? message.qos : member.qos
    form.expirySeconds = message.expiresAtMs === NEVER_EXPIRES ? -1 : 0
    identifiers[0] = member.identifier
    form.identifiers = member.identifier === 0 ? null : identifiers
    return publishBytes(message, form) <= most
  }
}
