// Payloads that say who they are: a key that no two messages share, and filler that follows from
// it, so that a payload which was cut, mixed or invented shows.

import { decodeUtf8, encodeUtf8 } from '@godwit/packet'

const KEY = /^([a-z]+\d*#\d+)#/
const FILLER = 'abcdefghijklmnopqrstuvwxyz'

export function keyOf(publisher: string, number: number): string {
  return `${publisher}#${number}`
}

/** A payload of about so many bytes. */
export function payloadOf(key: string, byteLength: number): Uint8Array {
  const head = `${key}#`
  return encodeUtf8(head + fillerOf(key, Math.max(0, byteLength - head.length)))
}

/** @returns null when the bytes are no payload that `payloadOf` has made; '' for no bytes */
export function readPayload(payload: Uint8Array): string | null {
  if (payload.length === 0) return ''
  const text = decodeUtf8(payload, 0, payload.length)
  const key = KEY.exec(text)?.[1]
  if (key === undefined) return null
  const head = `${key}#`
  return text === head + fillerOf(key, text.length - head.length) ? key : null
}

function fillerOf(key: string, length: number): string {
  const at = (key.charCodeAt(key.length - 1) + key.length) % FILLER.length
  return (FILLER.slice(at) + FILLER).repeat(Math.ceil(length / FILLER.length)).slice(0, length)
}
