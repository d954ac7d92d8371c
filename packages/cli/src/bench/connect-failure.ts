// Why a tester has no connection, in the words of pub and sub.

import { unreachableText } from '../network/unreachable.ts'
import type { ConnectionSettings } from './settings.ts'

/** What an engine says when a broker closes without a word. */
export const CLOSED = 'the broker closed the connection'

/** Why there is none after Ctrl-C: that is nobody's fault. */
export const INTERRUPTED = 'interrupted'

/** @param number of the client, which decides its target */
export function connectFailure(
  error: Error,
  { targets, level, cafile }: Pick<ConnectionSettings, 'targets' | 'level' | 'cafile'>,
  number: number,
): string {
  const target = targets[number % targets.length]
  if (target === undefined) return error.message
  const { host, port, kind, path } = target
  const attempt = { where: `${host}:${port}`, host, secure: kind === 'tls' || kind === 'wss' }
  const webSocket = kind === 'ws' || kind === 'wss'
  const trust = { cafile, capath: null, tlsVersion: null }
  const choice = { webSocket, webSocketPath: path, level, ...trust }
  const failure = error.message === CLOSED ? null : error
  return unreachableText(failure, attempt, choice).replace(/^Error: /, '')
}
