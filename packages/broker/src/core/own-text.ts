// Texts that stay longer than what they were cut from. V8 makes a part of a text, from 13
// characters, a view on the whole: one level of a topic would keep 64 KiB alive.

import { decodeUtf8, encodeUtf8 } from '@godwit/packet'

const VIEW_UNITS_MIN = 13

/** The same text, which keeps no other alive. */
export function ownText(part: string): string {
  if (part.length < VIEW_UNITS_MIN) return part
  const bytes = encodeUtf8(part)
  return decodeUtf8(bytes, 0, bytes.length)
}
