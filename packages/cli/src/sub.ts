// The command `godwit sub`: prints the messages of topics until it has had enough.

import { isTopicFilter, type PublishPacket, topicMatches } from '@godwit/packet'
import { type ClientFlags, numberOf, readClientFlags } from './client-flags.ts'
import { BrokerConnection } from './connection.ts'
import { usage } from './failure.ts'
import { report } from './pub.ts'

export interface SubFlags extends ClientFlags {
  readonly topic?: readonly string[]
  readonly filterOut?: readonly string[]
  readonly count?: string
  readonly verbose?: boolean
  readonly newline?: boolean
  readonly stale?: boolean
  readonly retainedOnly?: boolean
  readonly exitAfterSuback?: boolean
}

const WRONG = 1
const TIMED_OUT = 27
const FAILURE_CODE = 0x80
const NEVER_RETAINED = 2

/** @returns the exit code: that of CONNACK when refused, 27 when -W ended it */
export async function subscribe(args: readonly string[], flags: SubFlags): Promise<number> {
  const choice = readClientFlags(flags, 'sub')
  const own = choice.topic === null ? [] : [choice.topic]
  const filters = [...(flags.topic ?? []), ...own, ...args]
  if (filters.length === 0) usage('say what to subscribe to: godwit sub topic...', WRONG)
  for (const filter of filters) {
    if (!isTopicFilter(filter)) usage(`${JSON.stringify(filter)} is no topic filter`, WRONG)
  }
  const count = numberOf('-C', flags.count, 0, Number.MAX_SAFE_INTEGER)
  const say = (text: string): void => {
    if (flags.quiet !== true) console.error(text)
  }
  let timer: NodeJS.Timeout | null = null
  try {
    const connection = await BrokerConnection.open(choice.connect)
    const enough = new Promise<number>(resolve => {
      connection.onMessage = printer(flags, count, resolve)
      if (choice.timeoutSeconds > 0) {
        timer = setTimeout(resolve, choice.timeoutSeconds * 1000, TIMED_OUT)
      }
      process.once('SIGINT', () => resolve(0))
      process.once('SIGTERM', () => resolve(0))
    })
    const retainHandling = flags.stale === false ? NEVER_RETAINED : 0
    const codes = await Promise.race([
      connection.subscribe(filters, choice.qos, retainHandling),
      enough.then(() => [0]),
    ])
    const refused = codes.find(code => code >= FAILURE_CODE)
    for (const [index, code] of codes.entries()) {
      if (code >= FAILURE_CODE)
        say(`Error: subscription to ${filters[index]} was refused (${code})`)
    }
    const allRefused = codes.every(code => code >= FAILURE_CODE)
    if (flags.exitAfterSuback === true || allRefused) {
      await connection.disconnect()
      return refused ?? 0
    }
    const ended = await Promise.race([enough, connection.closed])
    if (typeof ended !== 'number') return report(ended, say)
    await connection.disconnect()
    return ended
  } catch (error) {
    return report(error, say)
  } finally {
    if (timer !== null) clearTimeout(timer)
  }
}

function printer(
  flags: SubFlags,
  count: number,
  enough: (exitCode: number) => void,
): (packet: PublishPacket) => void {
  let printed = 0
  const filteredOut = flags.filterOut ?? []
  const end = flags.newline === false ? '' : '\n'
  return packet => {
    if (count > 0 && printed >= count) return
    if (flags.stale === false && packet.retain) return
    if (filteredOut.some(filter => topicMatches(filter, packet.topic))) return
    if (flags.retainedOnly === true && !packet.retain) {
      enough(0)
      return
    }
    const { topic, payload } = packet
    if (flags.verbose === true) {
      process.stdout.write(payload.length === 0 ? `${topic} (null)` : `${topic} `)
    }
    process.stdout.write(payload)
    if (end !== '') process.stdout.write(end)
    printed++
    if (count > 0 && printed >= count) enough(0)
  }
}
