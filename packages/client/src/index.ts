// The public surface of @godwit/client in Node. browser.ts is the same without Node's transports.

export type { AbortOptions } from './abort.ts'
export {
  Client,
  type ClientState,
  type ClientStats,
  type Responder,
} from './client.ts'
export type { CloseInfo, CloseOptions, DrainOptions } from './core.ts'
export {
  DecodedMessage,
  type DecodedOptions,
  decoded,
  json,
  type PayloadDecoder,
  type PayloadSchema,
} from './decoded.ts'
export {
  ConnectionRefusedError,
  MqttError,
  type MqttErrorCode,
} from './errors.ts'
export type { ClientEvent } from './events.ts'
export type { Negotiated } from './handshake.ts'
export type { Message } from './message.ts'
export type {
  Attempt,
  Authenticator,
  ConnectOptions,
  Credentials,
  MessageProperties,
  OfflineOptions,
  Payload,
  ReconnectOptions,
  WillOptions,
} from './options.ts'
export {
  type PublishStream,
  type PublishStreamOptions,
  type PublishStreamWriter,
  publishStream,
} from './publish-stream.ts'
export type { PublishOptions, PublishResult } from './publisher.ts'
export { reasonText } from './reason-texts.ts'
export type { Answer, RequestManyOptions, RequestOptions } from './requests.ts'
export { isRetryable } from './retryable.ts'
export { type ScramOptions, scramSha256 } from './scram.ts'
export type { SessionStore, StoredRecord } from './store.ts'
export { type FileStoreOptions, fileStore } from './stores/file.ts'
export { memoryStore } from './stores/memory.ts'
export type {
  AckMode,
  BufferOptions,
  ForEachOptions,
  Grant,
  Subscription,
  WhenFull,
} from './subscription.ts'
export type { SubscribeOptions, UnclaimedOptions, UnsubscribeOptions } from './subscriptions.ts'
export type { ConnectTarget, ConnectTo } from './target.ts'
export type { TopicParams } from './topic-template.ts'
export type { Dial, TlsOptions, Transport, TransportHandler } from './transport.ts'
export { connect } from './transports/node.ts'
export type { DuplexLike, WebStreams } from './transports/stream.ts'
