// The public surface of @godwit/packet.
export * from './constants.ts'
export * from './errors.ts'
export * from './packets.ts'
