// Payloads that say whose they are: the id, then bytes that follow from it. What arrives is either
// exactly what was sent or nobody's.

const LONG_BYTES = 6000
const SHORT_BYTES_MAX = 180
/** One in so many payloads is long. */
const LONG_EVERY = 12

export function payloadOf(id: string): Uint8Array {
  const head = Buffer.from(`${id} `, 'latin1')
  const hash = hashOf(id)
  const fill = hash % LONG_EVERY === 0 ? LONG_BYTES : hash % SHORT_BYTES_MAX
  const bytes = Buffer.alloc(head.length + fill)
  head.copy(bytes)
  for (let i = 0; i < fill; i++) bytes[head.length + i] = (hash >>> (i & 15)) + i * 31
  return bytes
}

/** @returns the id, or '' when these are not the bytes that anybody sent */
export function idOf(payload: Uint8Array): string {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const space = bytes.indexOf(0x20)
  if (space <= 0 || space > 64) return ''
  const id = bytes.toString('latin1', 0, space)
  return bytes.equals(payloadOf(id)) ? id : ''
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0
  }
  return hash
}
