// Standard output: what one turn of the event loop brings is written at once, and a reader who has
// gone away is noticed.

import { Buffer } from 'node:buffer'
import { writeSync } from 'node:fs'

const FLUSH_BYTES = 65_536
const STANDARD_OUTPUT = 1

export class Output {
  /** Why nothing can be written any more, but for a reader who has gone away. */
  failure: Error | null = null
  /** Called once when nobody reads any more, or nothing can be written. */
  onGone: () => void = () => undefined
  private parts: Uint8Array[] = []
  private bytes = 0
  private planned = false
  private gone = false

  /** @param text characters that are bytes */
  writeBytes(text: string): void {
    if (text !== '') this.write(Buffer.from(text, 'latin1'))
  }

  /** @param bytes are written later: they must stay as they are */
  write(bytes: Uint8Array): void {
    if (this.gone) return
    this.parts.push(bytes)
    this.bytes += bytes.length
    if (this.bytes >= FLUSH_BYTES) {
      this.flush()
    } else if (!this.planned) {
      this.planned = true
      setImmediate(() => this.flush())
    }
  }

  /** Waits until the reader has taken it: a slow reader slows the connection. */
  flush(): void {
    this.planned = false
    const bytes = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts)
    this.parts = []
    this.bytes = 0
    for (let at = 0; bytes !== undefined && at < bytes.length && !this.gone; ) {
      at += this.writeSome(bytes, at)
    }
  }

  private writeSome(bytes: Uint8Array, at: number): number {
    try {
      return writeSync(STANDARD_OUTPUT, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') {
        // Somebody made the pipe non-blocking; there is nothing to wait for it with but time.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
        return 0
      }
      this.gone = true
      if (code !== 'EPIPE' && code !== 'EOF') this.failure = error as Error
      setImmediate(() => this.onGone())
      return 0
    }
  }
}
