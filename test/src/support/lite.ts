// Streams as transports for the lite client, which takes WebSockets and `{ dial }` only.

import type { Duplex } from 'node:stream'
import type { Dial } from '@godwit/client/lite'

/** A transport over an open stream. */
export function dialing(stream: Duplex): { readonly dial: Dial } {
  return {
    dial: handler => {
      stream.on('data', (bytes: Uint8Array) => handler.received(bytes))
      stream.on('drain', () => handler.drained())
      stream.on('error', () => stream.destroy())
      stream.on('close', () => handler.closed(null))
      queueMicrotask(() => handler.opened())
      return {
        get bufferedBytes() {
          return stream.writableLength
        },
        canPause: false,
        write: bytes => {
          if (!stream.destroyed) stream.write(bytes)
          return false
        },
        pause: () => undefined,
        resume: () => undefined,
        end: () => void stream.end(),
        destroy: () => void stream.destroy(),
      }
    },
  }
}
