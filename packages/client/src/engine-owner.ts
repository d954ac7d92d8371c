// What the engine tells those above it.

import type { MqttError } from './errors.ts'
import type { ClientEvent } from './events.ts'
import type { Agreed } from './handshake.ts'

/** What is above the engine: told what happens, in the order in which it happens. */
export interface EngineOwner {
  event(event: ClientEvent): void
  /** Something failed, and nobody may be waiting for it. */
  reportError(error: MqttError): void
  /** The first connection stands. */
  ready(): void
  connected(agreed: Agreed): void
  connectionLost(error: MqttError): void
  /** There may be room for what waits; once per turn at most. */
  turnEnded(): void
  /** Nothing further happens. @param error null after `close` */
  closed(error: MqttError | null): void
  /** When `tick` is wanted, besides the engine's own reasons; infinite for never. */
  readonly dueMs: number
  tick(nowMs: number): void
}
