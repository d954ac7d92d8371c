// Records of many frames, copied together into blocks that are used again: each time new memory for
// what is read from the log would make the process larger, and it never gives that back.

import type { Records } from './elision.ts'

const BLOCK_BYTES = 512 * 1024
/** So much is kept for the next time. */
const KEPT_BLOCKS = 8

export class RecordPile {
  /** One for each frame. */
  readonly parts: Records[] = []
  byteCount = 0
  private readonly blocks: Uint8Array[] = []
  private used = 0
  /** In the last block that is used. */
  private length = BLOCK_BYTES

  add(bytes: Uint8Array, start: number, end: number): void {
    const byteLength = end - start
    this.byteCount += byteLength
    if (byteLength > BLOCK_BYTES) {
      this.parts.push({ bytes: bytes.slice(start, end), start: 0, end: byteLength })
      return
    }
    if (this.length + byteLength > BLOCK_BYTES) {
      this.used++
      this.length = 0
    }
    const block = this.block(this.used - 1)
    block.set(bytes.subarray(start, end), this.length)
    this.parts.push({ bytes: block, start: this.length, end: this.length + byteLength })
    this.length += byteLength
  }

  clear(): void {
    this.parts.length = 0
    this.byteCount = 0
    this.used = 0
    this.length = BLOCK_BYTES
    if (this.blocks.length > KEPT_BLOCKS) this.blocks.length = KEPT_BLOCKS
  }

  private block(index: number): Uint8Array {
    const known = this.blocks[index]
    if (known !== undefined) return known
    const block = new Uint8Array(BLOCK_BYTES)
    this.blocks.push(block)
    return block
  }
}
