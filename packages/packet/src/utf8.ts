// hot
// UTF-8 as MQTT allows it in strings: well-formed, without surrogates and without U+0000.
// Made for short strings; works on any platform because it uses nothing but the language.

import { invalidPacket, malformed } from './errors.ts'

/** Few enough arguments for `fromCharCode.apply` on any engine's stack. */
const UNITS_MAX = 2048

const { fromCharCode } = String

/**
 * The string in `bytes[start, end)`; a byte order mark stays in it. MQTT 5.0 section 1.5.4.
 * @throws PacketError `malformed-packet`
 */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  let at = start
  // Eight at a time: bench/src/codec.ts, 60 ASCII bytes take half of what one at a time takes.
  for (; at + 8 <= end; at += 8) {
    const a = bytes[at]!
    const b = bytes[at + 1]!
    const c = bytes[at + 2]!
    const d = bytes[at + 3]!
    const e = bytes[at + 4]!
    const f = bytes[at + 5]!
    const g = bytes[at + 6]!
    const h = bytes[at + 7]!
    if ((a | b | c | d | e | f | g | h) >= 0x80) break
    if (!(a && b && c && d && e && f && g && h)) break
    text += fromCharCode(a, b, c, d, e, f, g, h)
  }
  for (; at < end; at++) {
    const byte = bytes[at]!
    if (byte >= 0x80 || byte === 0) return text + decodeSlowly(bytes, at, end)
    text += fromCharCode(byte)
  }
  return text
}

function decodeSlowly(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  let units: number[] = []
  for (let at = start; at < end; ) {
    const point = codePointAt(bytes, at, end)
    // [MQTT-1.5.4-1] [MQTT-1.5.3-1 v3]
    if (point < 0) malformed('a string is not well-formed UTF-8')
    if (point === 0) malformed('a string contains U+0000') // [MQTT-1.5.4-2] [MQTT-1.5.3-2 v3]
    at += sizeOf(point)
    if (point < 0x10000) {
      units.push(point)
    } else {
      units.push(0xd7c0 + (point >> 10), 0xdc00 + (point & 0x3ff))
    }
    if (units.length >= UNITS_MAX) {
      text += fromCharCode.apply(null, units)
      units = []
    }
  }
  return text + fromCharCode.apply(null, units)
}

/**
 * Whether `bytes[start, end)` is UTF-8 that an MQTT string may hold. MQTT 5.0 section 1.5.4.
 * @param nulAllowed for a payload that claims to be UTF-8: there U+0000 is a character like others
 */
export function isWellFormedUtf8(
  bytes: Uint8Array,
  start: number,
  end: number,
  nulAllowed = false,
): boolean {
  for (let at = start; at < end; ) {
    const point = codePointAt(bytes, at, end)
    if (point < 0 || (point === 0 && !nulAllowed)) return false
    at += sizeOf(point)
  }
  return true
}

/** @returns -1 when the bytes at `at` are no well-formed character */
function codePointAt(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!
  if (lead < 0x80) return lead
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  if (lead < 0xc2 || lead > 0xf4 || at + size > end) return -1
  let point = lead & (0x7f >> size)
  for (let i = 1; i < size; i++) {
    const byte = bytes[at + i]!
    if ((byte & 0xc0) !== 0x80) return -1
    point = (point << 6) | (byte & 0x3f)
  }
  // What fits into fewer bytes, the surrogates, and what lies above the last character.
  const valid = sizeOf(point) === size && (point & 0x1ff800) !== 0xd800 && point < 0x110000
  return valid ? point : -1
}

function sizeOf(point: number): number {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
}

/** How many bytes `text` takes; a lone surrogate, which cannot be encoded, counts as 3. */
export function utf8ByteLength(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) {
      length += unit < 0x800 ? 1 : 2
      if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++
    }
  }
  return length
}

/**
 * Writes `text` to `bytes` from `at`, where there must be room for it.
 * @returns how many bytes were written
 * @throws PacketError `invalid-packet` for a lone surrogate
 */
export function encodeUtf8Into(text: string, bytes: Uint8Array, at: number): number {
  let to = at
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) {
      bytes[to++] = unit
      continue
    }
    if (unit < 0x800) {
      bytes[to++] = 0xc0 | (unit >> 6)
    } else if ((unit & 0xf800) === 0xd800) {
      const point = text.codePointAt(i++)!
      if (point < 0x10000) invalidPacket('well-formed Unicode', 'a lone surrogate')
      bytes[to++] = 0xf0 | (point >> 18)
      bytes[to++] = 0x80 | ((point >> 12) & 0x3f)
      bytes[to++] = 0x80 | ((point >> 6) & 0x3f)
    } else {
      bytes[to++] = 0xe0 | (unit >> 12)
      bytes[to++] = 0x80 | ((unit >> 6) & 0x3f)
    }
    // A low surrogate ends in the same six bits as its character.
    bytes[to++] = 0x80 | (text.charCodeAt(i) & 0x3f)
  }
  return to - at
}

/**
 * `text` as bytes of its own; U+0000 is allowed, since a payload may hold it.
 * @throws PacketError `invalid-packet` for a lone surrogate
 */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8ByteLength(text))
  encodeUtf8Into(text, bytes, 0)
  return bytes
}
