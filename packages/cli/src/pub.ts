// The command `godwit pub`: publishes a message, or many from standard input, and ends.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { encodeUtf8, isTopicName } from '@godwit/packet'
import { type ClientFlags, numberOf, readClientFlags } from './client-flags.ts'
import { BrokerConnection, ConnectionError } from './connection.ts'
import { usage } from './failure.ts'

export interface PubFlags extends ClientFlags {
  readonly topic?: string
  readonly message?: string
  readonly file?: string
  readonly stdinLines?: boolean
  readonly stdinAll?: boolean
  readonly nothing?: boolean
  readonly retain?: boolean
  readonly repeat?: string
  readonly wait?: boolean
}

type Source =
  | { readonly kind: 'one'; readonly payload: Uint8Array; readonly count: number }
  | { readonly kind: 'lines' }

const WRONG = 1
const LOST = 7
const TIMED_OUT = 27
const FAILURE_CODE = 0x80

/** @returns the exit code: that of CONNACK when refused, 27 after -W, else as in Mosquitto */
export async function publish(args: readonly string[], flags: PubFlags): Promise<number> {
  const choice = readClientFlags(flags, 'pub')
  const words = [...args]
  const topic = flags.topic ?? choice.topic ?? words.shift()
  if (topic === undefined) usage('say where to publish: godwit pub topic message', WRONG)
  if (!isTopicName(topic)) {
    usage(`${JSON.stringify(topic)} is no topic to publish to: it is empty or has + or #`, WRONG)
  }
  const source = sourceOf(words, flags)
  const say = (text: string): void => {
    if (flags.quiet !== true) console.error(text)
  }
  let connection: BrokerConnection
  try {
    connection = await BrokerConnection.open(choice.connect)
  } catch (error) {
    return report(error, say)
  }
  const timer = choice.timeoutSeconds > 0 ? exitLater(choice.timeoutSeconds) : null
  try {
    const worst = await send(connection, source, topic, choice.qos, flags, say)
    if (flags.wait === true) await connection.closed
    await connection.disconnect()
    return worst
  } catch (error) {
    return report(error, say)
  } finally {
    if (timer !== null) clearTimeout(timer)
  }
}

async function send(
  connection: BrokerConnection,
  source: Source,
  topic: string,
  qos: 0 | 1 | 2,
  flags: PubFlags,
  say: (text: string) => void,
): Promise<number> {
  let worst = 0
  const note = (code: number): void => {
    if (code < FAILURE_CODE) return
    worst = code
    say(`Warning: publishing to ${topic} failed with reason code 0x${code.toString(16)}`)
  }
  const one = (payload: Uint8Array): Promise<number> =>
    connection.publish(topic, payload, qos, flags.retain === true)
  if (source.kind === 'one') {
    for (let i = 0; i < source.count; i++) note(await one(source.payload))
    return worst
  }
  // Lines go out as fast as the window allows; the end waits for all of them.
  const under = new Set<Promise<void>>()
  let failure: unknown = null
  for await (const line of createInterface({ input: process.stdin })) {
    if (failure !== null) break
    const sent = one(encodeUtf8(line))
      .then(note, (error: unknown) => {
        failure ??= error
      })
      .finally(() => under.delete(sent))
    under.add(sent)
    if (under.size > 100) await Promise.race(under)
  }
  await Promise.all(under)
  if (failure !== null) throw failure
  return worst
}

/** Exactly one of -m, -f, -s, -l, -n, or the second word. */
function sourceOf(words: readonly string[], flags: PubFlags): Source {
  const { message, file, stdinAll, stdinLines, nothing } = flags
  const given = [message, file, stdinAll, stdinLines, nothing, words[0]].filter(
    way => way !== undefined && way !== false,
  )
  if (given.length !== 1 || words.length > 1) {
    usage('say what to publish, once: -m message, -f file, -s, -l, -n, or topic message', WRONG)
  }
  const count = numberOf('--repeat', flags.repeat, 1, Number.MAX_SAFE_INTEGER)
  const text = message ?? words[0]
  if (text !== undefined) return { kind: 'one', payload: encodeUtf8(text), count }
  if (stdinLines === true) return { kind: 'lines' }
  if (nothing === true) return { kind: 'one', payload: new Uint8Array(0), count }
  try {
    return { kind: 'one', payload: readFileSync(file ?? 0), count }
  } catch (error) {
    return usage(`-f: ${(error as Error).message}`, WRONG)
  }
}

/** A connection that failed: in Mosquitto's words where it has some. */
export function report(error: unknown, say: (text: string) => void): number {
  if (!(error instanceof ConnectionError)) throw error
  say(`Error: ${error.message}`)
  if (error.reasonCode !== 0) return error.reasonCode
  const refused = error.cause !== undefined
  return refused ? WRONG : LOST
}

function exitLater(seconds: number): NodeJS.Timeout {
  return setTimeout(() => {
    process.exitCode = TIMED_OUT
    process.exit()
  }, seconds * 1000)
}
