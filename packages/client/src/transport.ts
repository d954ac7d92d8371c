// What the client asks of a connection: ordered bytes both ways. The kinds are in transports/.

import type { Packet } from '@godwit/packet'
import type { Parts } from './parts.ts'

/** What a transport tells the client. All calls are synchronous. */
export interface TransportHandler {
  /** Bytes can be written from now on. */
  opened(): void
  /**
   * Bytes came, in no subclass of Uint8Array. They are read before the call returns: the transport
   * may reuse the buffer.
   */
  received(bytes: Uint8Array): void
  /** All that `write` kept has been sent. */
  drained(): void
  /** The connection is gone; comes once, also after `end` and `destroy`. */
  closed(error: Error | null): void
}

/** One open or opening connection: an ordered, lossless stream of bytes. [MQTT-4.2-1] */
export interface Transport {
  /** Bytes that were written and have not been sent. */
  readonly bufferedBytes: number
  /** Whether `pause` stops the peer in the end. A browser's WebSocket cannot. */
  readonly canPause: boolean
  /**
   * Sends bytes. @returns true when the caller may use the buffer again, false when the transport
   * keeps it; `drained` follows when `bufferedBytes` was above the high-water mark
   */
  write(bytes: Uint8Array): boolean
  pause(): void
  resume(): void
  /** Sends what is buffered, then closes. */
  end(): void
  /** Closes now. */
  destroy(): void
}

/** Opens a connection. It must not call the handler before it has returned. */
export type Dial = (handler: TransportHandler) => Transport

/** TLS settings of a connection in Node, as `node:tls` has them. */
export interface TlsOptions {
  /** Certificates that are trusted instead of the platform's, PEM. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[]
  /** The client's certificate and key for mutual TLS, PEM. */
  readonly cert?: string | Uint8Array
  readonly key?: string | Uint8Array
  readonly passphrase?: string
  /** ALPN protocols, e.g. `['mqtt']`. */
  readonly alpn?: readonly string[]
  /** Name for SNI and for the check of the certificate, when it is not the host of the URL. */
  readonly serverName?: string
  readonly ciphers?: string
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** false accepts any certificate: only for tests. */
  readonly verify?: boolean
}

/** How a URL is dialled. */
export interface DialOptions {
  readonly tls: TlsOptions
  /** Further HTTP headers of a WebSocket's request. Node only. */
  readonly headers: Readonly<Record<string, string>>
  /** A local address to connect from. Node only. */
  readonly localAddress: string
  /** The largest packet that is read, in bytes. */
  readonly packetBytesMax: number
}

/** A named place to report to, as `node:diagnostics_channel` has them. */
export interface Channel {
  readonly hasSubscribers: boolean
  publish(message: unknown): void
}

/** The channels of a client. */
export interface Channels {
  /** Each event of a client: `{ clientId, event }`. */
  readonly events: Channel
  /** A message to be sent: `{ clientId, topic, qos }`. */
  readonly publish: Channel
  /** A message that came: `{ clientId, topic, qos }`. */
  readonly message: Channel
}

/** All that the client asks of the world it runs in. */
export interface Platform {
  /** Monotonic milliseconds. */
  nowMs(): number
  /** 0 <= n < 1. */
  random(): number
  /** Bytes for identifiers that nobody can guess. */
  randomBytes(length: number): Uint8Array
  /** Runs `task` when this turn of the event loop has ended. */
  atTurnEnd(task: () => void): void
  /** Runs `task` once. */
  after(delayMs: number, task: () => void): unknown
  cancel(timer: unknown): void
  /** @throws MqttError `invalid-argument` for a URL that this platform cannot dial */
  dial(url: URL, options: DialOptions): Dial
  /** Opens what a caller brought instead of a URL, null when this is no stream. */
  adopt(stream: object): Dial | null | Promise<Dial | null>
  /** What only some clients need: at once, or loaded now. */
  parts(): Parts | Promise<Parts>
  /** A line of `dump`, null where the text of packets would only cost room. */
  readonly describe: ((packet: Packet) => string) | null
  readonly channels: Channels | null
  /** Whether its transports can stop reading. */
  readonly canPause: boolean
}
