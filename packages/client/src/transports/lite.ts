// The lite client in browsers and workers, and wherever else there is a WebSocket: the platform's
// clock, chance and WebSocket.

import { invalidArgument } from '../errors.ts'
import { openLite } from '../lite/client.ts'
import type { Client, ConnectOptions, ConnectTarget, Platform } from '../lite/types.ts'
import { openBrowserWebSocket } from './browser-websocket.ts'

const WebPlatform: Platform = {
  nowMs: () => performance.now(),
  random: Math.random,
  randomBytes: length => crypto.getRandomValues(new Uint8Array(length)),
  atTurnEnd: task => queueMicrotask(task),
  after: (delayMs, task) => setTimeout(task, Math.min(delayMs, 0x7fff_ffff)),
  cancel: timer => clearTimeout(timer as number),
  dial(url) {
    if (url.protocol === 'ws:' || url.protocol === 'wss:') {
      return handler => openBrowserWebSocket(url, handler)
    }
    throw invalidArgument(`expected a ws: or wss: URL, not ${url.protocol}`)
  },
}

/**
 * Connects to a server and resolves when it has accepted.
 * @param target a `ws:` or `wss:` URL, `{ dial }` for a transport of your own, or a function that
 *   gives one of these, called at each attempt
 * @throws MqttError, ConnectionRefusedError
 */
export function connect(target: ConnectTarget, options: ConnectOptions = {}): Promise<Client> {
  return openLite(WebPlatform, target, options)
}
