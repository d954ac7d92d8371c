// Frames out of bytes as they come, written apart from the codec's decoder: what is not asked for
// yet is kept.

export interface Frame {
  readonly first: number
  readonly bytes: Uint8Array
  readonly bodyStart: number
  readonly end: number
}

export class Frames {
  #bytes: Uint8Array = new Uint8Array(0)

  push(chunk: Uint8Array): void {
    const bytes = new Uint8Array(this.#bytes.length + chunk.length)
    bytes.set(this.#bytes)
    bytes.set(chunk, this.#bytes.length)
    this.#bytes = bytes
  }

  next(): Frame | null {
    const frame = this.peek()
    if (frame !== null) this.#bytes = this.#bytes.subarray(frame.end)
    return frame
  }

  /** What is not asked for yet begins with these. */
  beginsWith(bytes: Uint8Array): boolean {
    return this.#bytes.length >= bytes.length && bytes.every((byte, at) => this.#bytes[at] === byte)
  }

  /** The begin of a frame has come, and its end has not. */
  get hasPart(): boolean {
    return this.#bytes.length > 0 && this.peek() === null
  }

  /** The next one, which stays. @returns null when there is no whole one */
  peek(): Frame | null {
    const bytes = this.#bytes
    let length = 0
    let at = 1
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) return null
      length += (byte & 127) * scale
      if (byte < 128) break
    }
    const end = at + length
    if (end > bytes.length) return null
    return { first: bytes[0] ?? 0, bytes, bodyStart: at, end }
  }
}
