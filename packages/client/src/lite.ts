// The public surface of @godwit/client/lite: a client for web pages that count bytes.

export type { ClientState } from './client.ts'
export type { CloseInfo } from './core.ts'
export {
  ConnectionRefusedError,
  MqttError,
  type MqttErrorCode,
} from './errors.ts'
export type { ClientEvent } from './events.ts'
export type {
  Client,
  CloseOptions,
  ConnectOptions,
  ConnectTarget,
  ConnectTo,
  Message,
  Negotiated,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from './lite/types.ts'
export type {
  Attempt,
  Credentials,
  MessageProperties,
  Payload,
  ReconnectOptions,
  WillOptions,
} from './options.ts'
export type { PublishResult } from './publisher.ts'
export { reasonText } from './reason-texts.ts'
export type { Grant } from './subscription.ts'
export type { Dial, Transport, TransportHandler } from './transport.ts'
export { connect } from './transports/lite.ts'
