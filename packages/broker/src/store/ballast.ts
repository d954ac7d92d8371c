// Space on the disk that is kept for bad times. On a full disk the database cannot even delete:
// then this file goes, what shrinks can be written, and nothing that grows is taken until there is
// room to keep the space again. It runs in the worker, whose calls may wait.

import { randomFillSync } from 'node:crypto'
import fs from 'node:fs'
import { dirname } from 'node:path'
import { isOutOfSpace } from './errors.ts'

const CHUNK_BYTES = 1024 * 1024

export class Ballast {
  private readonly path: string
  private readonly byteCount: number
  private readonly freeBytes: () => number

  /** @param freeBytes what the file system has left */
  constructor(path: string, byteCount: number, freeBytes: () => number = () => freeAt(path)) {
    this.path = path
    this.byteCount = byteCount
    this.freeBytes = freeBytes
  }

  get held(): boolean {
    return fs.statSync(this.path, { throwIfNoEntry: false })?.size === this.byteCount
  }

  /** It is held, or there is room to take it. */
  get possible(): boolean {
    return this.held || this.freeBytes() >= 2 * this.byteCount
  }

  /**
   * Takes the space if it is not held and there is twice as much: what frees a little must not be
   * eaten up at once.
   * @returns whether it is held now
   */
  take(): boolean {
    if (this.held) return true
    if (!this.possible) return false
    try {
      this.write()
    } catch (error) {
      fs.rmSync(this.path, { force: true })
      if (!isOutOfSpace(error)) throw error
    }
    return this.held
  }

  /** Space is what is missing on this disk. */
  get wanted(): boolean {
    return this.freeBytes() < this.byteCount
  }

  /**
   * Gives the space up if that is what is missing.
   * @returns whether it is worth trying again
   */
  release(): boolean {
    if (!this.held || !this.wanted) return false
    fs.rmSync(this.path)
    return true
  }

  /** Random bytes: some file systems take no space for zeros. */
  private write(): void {
    const descriptor = fs.openSync(this.path, 'w', 0o600)
    try {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, this.byteCount))
      randomFillSync(chunk)
      for (let at = 0; at < this.byteCount; ) {
        at += fs.writeSync(descriptor, chunk, 0, Math.min(chunk.length, this.byteCount - at), at)
      }
      fs.fsyncSync(descriptor)
    } finally {
      fs.closeSync(descriptor)
    }
  }
}

function freeAt(path: string): number {
  const { bavail, bsize } = fs.statfsSync(dirname(path))
  return bavail * bsize
}
