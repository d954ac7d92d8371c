// Messages of a resumed session that come before the application has subscribed: held, and not
// acknowledged, until somebody wants them or their time is over.

import type { Incoming } from './incoming.ts'
import { Limits } from './limits.ts'
import { Message } from './message.ts'
import type { PublishReader } from './publish-reader.ts'
import { matching, type Taker } from './router.ts'
import type { TopicTemplate } from './topic-template.ts'
import type { Wanted } from './wanted.ts'

/** Who takes over what was held. */
export interface Claimant {
  readonly templates: readonly TopicTemplate[]
  adopt(message: Message, template: TopicTemplate | null): void
}

export class Unclaimed implements Taker {
  readonly templates: readonly TopicTemplate[] = []
  readonly wanted: readonly Wanted[] = []
  /** When it is released; set by who makes it. */
  dueMs = 0
  dropped = 0
  private held: Message[] = []

  get count(): number {
    return this.held.length
  }

  isOverrun(): boolean {
    return false
  }

  offer(source: PublishReader, topic: string, incoming: Incoming): void {
    if (this.held.length >= Limits.unclaimedMessages || source.qos === 0) {
      this.dropped++
      return
    }
    const message = new Message(source, topic, null)
    message.own(source)
    message.receipt = incoming.receipt()
    this.held.push(message)
  }

  /** Hands over what somebody has subscribed to. @param all whether the rest is theirs too */
  claim(claimant: Claimant, all: boolean): void {
    const { templates } = claimant
    const isMine = ({ topic }: Message): boolean => all || matching(templates, topic) !== null
    const mine = this.held.filter(isMine)
    this.held = this.held.filter(message => !isMine(message))
    // Only now: a listener may subscribe to what is left.
    for (const message of mine) claimant.adopt(message, matching(templates, message.topic))
  }

  /** Acknowledges what nobody wanted. @returns how many messages were dropped, in all */
  release(): number {
    for (const message of this.held.splice(0)) {
      this.dropped++
      message.ack()
    }
    return this.dropped
  }
}
