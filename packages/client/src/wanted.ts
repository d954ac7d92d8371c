// The subscriptions that the application wants, whatever the link does: a filter, its options,
// and how far the server knows of it. Data only; session.ts moves it along.

import type { Properties, SubscriptionRequest } from '@godwit/packet'
import type { MqttError } from './errors.ts'

/** Told each time when the server has answered, or when it never will. */
export type SubscribeDone = (
  error: MqttError | null,
  reasonCode: number,
  properties: Properties,
) => void

/** How far the server knows of a subscription. */
export const WantedState = {
  /** To be asked for at the end of the turn. */
  NEW: 0,
  /** Asked for, not answered. */
  ASKED: 1,
  /** Granted. */
  ACTIVE: 2,
  /** To be given up. */
  LEAVING: 3,
  /** Given up, not answered. */
  LEFT: 4,
} as const

/** One filter; several subscriptions of the application may share it. */
export class Wanted {
  readonly filter: string
  request: SubscriptionRequest
  /** A subscription identifier, 0 for none. */
  identifier: number
  properties: Properties | null
  /** Of UNSUBSCRIBE. */
  leaveProperties: Properties | null = null
  state: number = WantedState.NEW
  /** How many subscriptions of the application use it. */
  users = 0
  /** The server was asked for it anew while an answer was due. */
  changed = false
  /** Whether the server may know of it. */
  known = false
  /** The next request must not bring the retained messages again. */
  quiet = false
  told: SubscribeDone[] = []
  leaving: SubscribeDone[] = []

  constructor(request: SubscriptionRequest, identifier: number, properties: Properties | null) {
    this.filter = request.filter
    this.request = request
    this.identifier = identifier
    this.properties = properties
  }
}
