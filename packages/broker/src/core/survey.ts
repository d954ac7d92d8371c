// Counts what nobody counts on the way, since it would cost each message something: what waits and
// what is in flight, over all sessions and groups. A step is short, however many there are.

import type { Broker } from './broker.ts'

export class Survey {
  /** QoS 1 and 2 messages that were given a packet identifier and are not acknowledged. */
  inFlight = 0
  /** Messages that wait for sessions and groups, those in flight included, and their bytes. */
  queuedMessages = 0
  queuedBytes = 0
  private readonly broker: Broker
  private readonly sessions: Iterator<{
    readonly queuedMessages: number
    readonly queuedBytes: number
    readonly inflight: { readonly active: number } | null
  }>
  private readonly groups: Iterator<{
    readonly waitingCount: number
    readonly queuedBytes: number
  }>
  private slot = 0
  /** Who comes while it goes on is left out: it comes to an end. */
  private sessionsLeft: number
  private groupsLeft: number

  constructor(broker: Broker) {
    this.broker = broker
    this.sessions = broker.sessions.byClientId.values()
    this.groups = broker.groups.all()[Symbol.iterator]()
    this.sessionsLeft = broker.sessions.byClientId.size
    this.groupsLeft = broker.groups.count
  }

  /** Looks at so many sessions or groups. @returns false when there are no more */
  step(most: number): boolean {
    for (let left = most; left > 0; left--) {
      if (!(this.nextSession() || this.nextGroup() || this.nextSleeper())) return false
    }
    return true
  }

  private nextSession(): boolean {
    if (this.sessionsLeft === 0) return false
    this.sessionsLeft--
    const { done, value } = this.sessions.next()
    if (done === true) this.sessionsLeft = 0
    else {
      this.queuedMessages += value.queuedMessages
      this.queuedBytes += value.queuedBytes
      this.inFlight += value.inflight?.active ?? 0
    }
    return true
  }

  private nextGroup(): boolean {
    if (this.groupsLeft === 0) return false
    this.groupsLeft--
    const { done, value } = this.groups.next()
    if (done === true) this.groupsLeft = 0
    else {
      this.queuedMessages += value.waitingCount
      this.queuedBytes += value.queuedBytes
    }
    return true
  }

  private nextSleeper(): boolean {
    const { sleepers } = this.broker.sleep
    if (this.slot >= sleepers.slotsMax) return false
    const slot = this.slot++
    if (sleepers.has(slot)) {
      this.queuedMessages += sleepers.messages.get(slot)
      this.queuedBytes += sleepers.bytes.get(slot)
    }
    return true
  }
}
