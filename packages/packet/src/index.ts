// The public surface of @godwit/packet.
export * from './ack.ts'
export * from './auth.ts'
export * from './connack.ts'
export * from './connect.ts'
export * from './constants.ts'
export { Decoder } from './decoder.ts'
export * from './disconnect.ts'
export { describePacket } from './dump.ts'
export * from './encoder.ts'
export { PacketError, type PacketErrorCode } from './errors.ts'
export { isReasonCode } from './fields.ts'
export { PacketIds } from './packet-ids.ts'
export * from './packets.ts'
export * from './ping.ts'
export {
  hasNoProperties,
  type PropertyOwner,
  propertiesByteLength,
  readProperties,
  WILL,
  writeProperties,
} from './properties.ts'
export * from './publish.ts'
export { PublishView } from './publish-view.ts'
export { readClientPacket, readPacket, readServerPacket, type Sender } from './read-packet.ts'
export { Reader } from './reader.ts'
export { RunDecoder } from './run-decoder.ts'
export { readSuback, readSubscribe, writeSuback, writeSubscribe } from './subscribe.ts'
export {
  hasWildcard,
  isTopicFilter,
  isTopicName,
  parseSharedFilter,
  type SharedFilter,
  topicMatches,
} from './topic.ts'
export * from './unsubscribe.ts'
export {
  decodeUtf8,
  encodeUtf8,
  encodeUtf8Into,
  isWellFormedUtf8,
  utf8ByteLength,
} from './utf8.ts'
export { variableIntegerByteLength, Writer } from './writer.ts'
