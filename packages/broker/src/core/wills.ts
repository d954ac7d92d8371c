// A will: the message that is published when a connection ends without DISCONNECT 0x00, after its
// delay or when the session ends, whichever is first. MQTT 5.0 section 3.1.2.5.

import type { Timer } from './expiry.ts'
import type { Message } from './message.ts'

export interface PendingWill {
  readonly message: Message
  readonly delaySeconds: number
  /** Message expiry counts from the moment of publication, in seconds; -1: none. */
  readonly expirySeconds: number
  /** Set while the delay runs. */
  timer: Timer | null
}
