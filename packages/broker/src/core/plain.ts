// hot
// Chunks from Node's sockets are Buffers: their `slice` is a view, not a copy, and each view on one
// is made in JavaScript, at three times the cost. The core looks at them as plain arrays.

let chunk: Uint8Array = new Uint8Array(0)
let plain: Uint8Array = chunk

/** The same bytes as a plain array; remembered for the chunk that was asked about last. */
export function plainly(bytes: Uint8Array): Uint8Array {
  if (bytes !== chunk) {
    chunk = bytes
    plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  }
  return plain
}

/** A copy of `bytes[start, end)` that shares no memory with it, whatever kind of array it is. */
export function copyOfBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return plainly(bytes).slice(start, end)
}
