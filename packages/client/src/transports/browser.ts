// The client in browsers, workers, Deno and Bun: the platform's clock, chance and WebSocket.

import { type Client, openClient } from '../client.ts'
import { invalidArgument, MqttError } from '../errors.ts'
import type { ConnectOptions } from '../options.ts'
import type { Parts } from '../parts.ts'
import type { ConnectTarget } from '../target.ts'
import type { Dial, Platform } from '../transport.ts'
import { openBrowserWebSocket } from './browser-websocket.ts'

/** What is used of the platform's MessageChannel. */
interface Channel {
  readonly port1: { onmessage: (() => void) | null }
  readonly port2: { postMessage(message: unknown): void }
}

let turns: Channel | null = null
let tasks: (() => void)[] = []

const BrowserPlatform: Platform = {
  nowMs: () => performance.now(),
  random: Math.random,
  randomBytes: length => crypto.getRandomValues(new Uint8Array(length)),
  atTurnEnd,
  after: (delayMs, task) => setTimeout(task, delayMs),
  cancel: timer => clearTimeout(timer as number),
  dial,
  adopt: async stream => (await parts()).adoptStream(stream),
  parts,
  canPause: false,
  describe: null,
  channels: null,
}

/**
 * Connects to a server and resolves when it has accepted.
 * @param target a `ws:` or `wss:` URL, an open pair of web streams, or a function that gives one of
 *   these, called at each attempt
 * @throws MqttError, ConnectionRefusedError
 */
export function connect(target: ConnectTarget, options: ConnectOptions = {}): Promise<Client> {
  return openClient(BrowserPlatform, target, options)
}

async function parts(): Promise<Parts> {
  try {
    return (await import('../parts.ts')).AllParts
  } catch (cause) {
    throw new MqttError('connect-failed', 'a part of the client cannot be loaded', { cause })
  }
}

function dial(url: URL): Dial {
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw invalidArgument(`a browser can only dial ws: and wss: URLs, not ${url.protocol}`)
  }
  return handler => openBrowserWebSocket(url, handler)
}

/** A message port is the only way to the end of a turn that background tabs do not slow down. */
function atTurnEnd(task: () => void): void {
  if (turns === null) {
    turns = new MessageChannel() as unknown as Channel
    turns.port1.onmessage = () => {
      const due = tasks
      tasks = []
      for (const run of due) run()
    }
  }
  tasks.push(task)
  turns.port2.postMessage(0)
}
