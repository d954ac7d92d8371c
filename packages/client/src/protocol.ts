// The parts for those who bring their own clock, sockets and loop: simulations and tests.
export { openClient } from './client.ts'
export { Incoming } from './incoming.ts'
export { Link, LinkAction, type LinkOptions, LinkState } from './link.ts'
export { openLite } from './lite/client.ts'
export { Outgoing, type PublishDone } from './outgoing.ts'
export { AllParts, type Parts } from './parts.ts'
export { encodeProperties } from './publish-writer.ts'
export {
  Accepted,
  type SendLimits,
  Session,
  type SessionOptions,
  type SessionPorts,
} from './session.ts'
export type { Platform } from './transport.ts'
