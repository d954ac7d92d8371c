// The command `godwit ticktock`: says who it is and what time it is on the topic `tick`, and prints
// what is said there. It reconnects until somebody ends it.

import { ExitCode, report, type Say, sayer, took } from '../network/ending.ts'
import { openLink } from '../network/link.ts'
import { ClientChoice } from '../options/choice.ts'
import { Output } from '../output/output.ts'
import { printer } from '../output/printer.ts'
import { parseAddress, parseSeconds } from '../values.ts'

export interface TicktockFlags {
  readonly host?: string
  readonly id?: string
  readonly user?: string
  readonly pass?: string
  readonly dump?: boolean
  readonly delay?: string
  readonly who?: string
}

const TOPIC = 'tick'
const FAILURE_CODE = 0x80

/** @returns the exit code */
export async function ticktock(flags: TicktockFlags): Promise<number> {
  const choice = choiceOf(flags)
  const delayMs = delayOf(flags.delay ?? '1s')
  const who = flags.who ?? 'bonnie'
  const say = sayer(choice)
  const output = new Output()
  const code = await ticks(choice, { delayMs, who }, output, say).catch((error: unknown) =>
    report(error, choice, say),
  )
  output.flush()
  return took('standard output', output, say) ? code : ExitCode.WRONG
}

/** Until a signal, or until nobody reads any more. @throws LinkError */
async function ticks(
  choice: ClientChoice,
  { delayMs, who }: { readonly delayMs: number; readonly who: string },
  output: Output,
  say: Say,
): Promise<number> {
  const stopped = new Promise<null>(resolve => {
    output.onGone = () => resolve(null)
    process.once('SIGINT', () => resolve(null))
    process.once('SIGTERM', () => resolve(null))
  })
  const link = await Promise.race([
    openLink(choice, { reconnects: true, needsPacketIds: false }),
    stopped,
  ])
  if (link === null) return ExitCode.OK
  const print = printer(choice, output, say)
  link.onMessage = message => {
    print(message)
    return true
  }
  const [granted = 0] = await link.subscribe([TOPIC], {
    qos: 0,
    retainAsPublished: false,
    retainHandling: 0,
    properties: {},
  })
  if (granted >= FAILURE_CODE) say(`Warning: the subscription to ${TOPIC} was denied.`)
  const tick = (): void => {
    const payload = Buffer.from(`${who} at ${new Date().toISOString()}`)
    // A tick that is lost with its connection is noticed there.
    link
      .publish({ topic: TOPIC, payload, qos: 0, retain: false, properties: {} })
      .catch(() => undefined)
  }
  tick()
  const timer = setInterval(tick, delayMs)
  const error = await Promise.race([link.closed, stopped])
  clearInterval(timer)
  if (error !== null) throw error
  await link.close()
  return ExitCode.OK
}

function choiceOf({ host, id, user, pass, dump }: TicktockFlags): ClientChoice {
  const choice = new ClientChoice('sub')
  const address = parseAddress('--host', host ?? 'localhost:1883')
  choice.host = address.host || 'localhost'
  choice.port = address.port ?? null
  choice.id = id ?? null
  choice.username = user ?? null
  choice.password = pass ?? null
  choice.dump = dump === true
  choice.goFormat = true
  return choice
}

/** Also Go's durations: `500ms`, `1m30s`. */
function delayOf(text: string): number {
  const milliseconds = /^(\d+(?:\.\d+)?)ms$/.exec(text)
  if (milliseconds !== null) return Math.max(1, Number(milliseconds[1]))
  const [, minutes, seconds] = /^(\d+)m(\d+(?:\.\d+)?)s$/.exec(text) ?? []
  if (minutes !== undefined) return (Number(minutes) * 60 + Number(seconds)) * 1000
  return Math.max(1, parseSeconds('--delay', text) * 1000)
}
