// The public surface of @godwit/client.

export * from './session.ts'
