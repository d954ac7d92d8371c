// A command line that both clients must answer alike, and what is there for it.

import type { PublishOptions } from '@godwit/broker'

export interface ScriptMessage extends PublishOptions {
  readonly topic: string
  readonly payload: string | Uint8Array
}

export interface Script {
  readonly name: string
  readonly command: 'pub' | 'sub' | 'rr'
  /** `{dir}` stands for a folder with the files. */
  readonly args: readonly string[]
  readonly stdin?: string | Uint8Array
  /** Published before the command starts: only what is retained stays. */
  readonly before?: readonly ScriptMessage[]
  /** Published when the command has subscribed to so many filters (default: 1). */
  readonly after?: readonly ScriptMessage[]
  readonly filters?: number
  readonly files?: Readonly<Record<string, string>>
  /** Environment variables; `{dir}` as above. */
  readonly environment?: Readonly<Record<string, string>>
  /** Compare standard error too. */
  readonly comparesErrors?: true
  /** False: Mosquitto prints its whole help there. */
  readonly comparesOutput?: false
  /** One of the few that run with every test. */
  readonly quick?: true
  /** A port where nothing listens. */
  readonly nobodyListens?: true
  /**
   * Where `{port}` leads to, and what is there besides: `tls` and `mutual` come with ca.pem,
   * other.pem, client.crt and client.key in `{dir}`, `psk` knows me by 0123abcd, `unix` is
   * `{dir}/socket`.
   */
  readonly listener?: 'tls' | 'mutual' | 'psk' | 'unix'
  /** Compare CONNECT, SUBSCRIBE and so on too, as the broker got them. */
  readonly comparesPackets?: true
}
