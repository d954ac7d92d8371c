// Packets by hand, for what no encoder would write.

export type Part = number | readonly number[] | Uint8Array

/** A frame: its first byte, the remaining length, its body. */
export function frame(first: number, ...parts: readonly Part[]): Uint8Array {
  const body = join(parts)
  const length: number[] = []
  let rest = body.length
  while (rest > 127) {
    length.push((rest & 127) | 128)
    rest >>>= 7
  }
  return Uint8Array.from([first, ...length, rest, ...body])
}

/** A string or binary field: its length in two bytes, its bytes. */
export function field(content: string | readonly number[]): number[] {
  const bytes = typeof content === 'string' ? [...utf8(content)] : content
  return [bytes.length >> 8, bytes.length & 255, ...bytes]
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

export function uint16(value: number): number[] {
  return [value >> 8, value & 255]
}

/** One buffer of several. */
export function join(parts: readonly Part[]): Uint8Array {
  return Uint8Array.from(parts.flatMap(part => (typeof part === 'number' ? [part] : [...part])))
}

export function hex(bytes: Uint8Array): string {
  const shown = [...bytes.subarray(0, 24)].map(byte => byte.toString(16).padStart(2, '0'))
  return shown.join(' ') + (bytes.length > 24 ? ` … (${bytes.length} bytes)` : '')
}
