// Which kind of stream a caller brought instead of a URL.

import type { Dial } from '../transport.ts'
import { type DuplexLike, openDuplex, openWebStreams, type WebStreams } from './stream.ts'

/** @returns null when it is none */
export function adoptStream(stream: object): Dial | null {
  if (isWebStreams(stream)) return handler => openWebStreams(stream, handler)
  if (isDuplex(stream)) return handler => openDuplex(stream, handler)
  return null
}

function isWebStreams(stream: object): stream is WebStreams {
  const { readable, writable } = stream as Partial<WebStreams>
  return typeof readable?.getReader === 'function' && typeof writable?.getWriter === 'function'
}

function isDuplex(stream: object): stream is DuplexLike {
  const { on, write, end, destroy } = stream as Partial<DuplexLike>
  return [on, write, end, destroy].every(method => typeof method === 'function')
}
