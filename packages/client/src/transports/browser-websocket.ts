// The WebSocket of a browser, a worker, Deno or Bun as a transport. It cannot stop the server from
// sending, so it cannot pause.

import { HIGH_WATER_BYTES } from '../limits.ts'
import type { Transport, TransportHandler } from '../transport.ts'

/** What is used of the platform's WebSocket. */
interface Socket {
  binaryType: string
  readonly bufferedAmount: number
  readonly readyState: number
  send(data: Uint8Array): void
  close(code?: number): void
  onopen: (() => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
}

const SUBPROTOCOL = 'mqtt'
const OPEN = 1
const NORMAL = 1000
/** A browser may only close with 1000 or with a code from 3000 on. */
const NOT_BINARY = 3003
/** The platform does not say when its buffer is empty. */
const POLL_MS = 5

/** Opens a WebSocket. */
export function openBrowserWebSocket(url: URL, handler: TransportHandler): Transport {
  return new BrowserWebSocket(url, handler)
}

class BrowserWebSocket implements Transport {
  readonly canPause = false
  private readonly handler: TransportHandler
  private readonly socket: Socket
  private polling = false
  private over = false

  constructor(url: URL, handler: TransportHandler) {
    this.handler = handler
    const { WebSocket } = globalThis as unknown as {
      WebSocket: new (url: string, protocol: string) => Socket
    }
    const socket = new WebSocket(url.href, SUBPROTOCOL) // [MQTT-6.0.0-3]
    this.socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => handler.opened()
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) handler.received(new Uint8Array(data))
      else this.finish(NOT_BINARY, new Error('a text frame; MQTT is binary')) // [MQTT-6.0.0-1]
    }
    socket.onclose = ({ code, reason }) => {
      const text = reason === '' ? `the WebSocket closed with status ${code}` : reason
      this.finish(NORMAL, code === NORMAL ? null : new Error(text))
    }
  }

  get bufferedBytes(): number {
    return this.socket.bufferedAmount
  }

  write(bytes: Uint8Array): boolean {
    if (this.socket.readyState !== OPEN) return true
    this.socket.send(bytes)
    if (this.socket.bufferedAmount > HIGH_WATER_BYTES) this.poll()
    return true
  }

  pause(): void {
    // A browser reads on.
  }

  resume(): void {
    // It has never stopped.
  }

  end(): void {
    this.socket.close(NORMAL)
  }

  destroy(): void {
    queueMicrotask(() => this.finish(NORMAL, null))
  }

  private poll(): void {
    if (this.polling) return
    this.polling = true
    setTimeout(() => {
      this.polling = false
      if (this.over) return
      if (this.socket.bufferedAmount > HIGH_WATER_BYTES) this.poll()
      else this.handler.drained()
    }, POLL_MS)
  }

  private finish(code: number, error: Error | null): void {
    if (this.over) return
    this.over = true
    this.socket.onmessage = null
    this.socket.close(code)
    this.handler.closed(error)
  }
}
