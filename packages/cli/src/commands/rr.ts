// The command `godwit rr`: publishes a request and prints its response. A response belongs to the
// request whose correlation data it brings back; what was on the response topic before is none.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { encodeUtf8, type PublishPacket } from '@godwit/packet'
import { CommandFailure, usage } from '../failure.ts'
import { ExitCode, lost, report, type Say, sayer, took } from '../network/ending.ts'
import { type Link, openLink } from '../network/link.ts'
import type { ClientChoice } from '../options/choice.ts'
import { WRONG } from '../options/option.ts'
import { bytesOf } from '../output/format.ts'
import { lines } from '../output/lines.ts'
import { Output } from '../output/output.ts'
import { needsPacketIds, printer } from '../output/printer.ts'
import { reasonText } from '../output/texts.ts'

const FAILURE_CODE = 0x80
const CORRELATION_BYTES = 16

/** What is asked, of whom, and where the answer goes. */
interface Terms {
  readonly choice: ClientChoice
  readonly topic: string
  readonly responseTopic: string
  readonly output: Output
  readonly say: Say
}

interface Request {
  readonly sentMs: number
  readonly answered: () => void
}

/** @returns the exit code: that of CONNACK when refused, 27 when -W ended it */
export async function request(choice: ClientChoice): Promise<number> {
  const topic = choice.topics[0]
  const { responseTopic } = choice
  if (topic === undefined || responseTopic === null || choice.source.kind === 'none') {
    usage(
      'All of topic, message, and response topic must be supplied: -t topic -e answers -m message',
      WRONG,
    )
  }
  if (choice.properties.publish['responseTopic'] !== undefined) {
    usage('Duplicate response topic: -e is one, -D publish response-topic another.', WRONG)
  }
  const payloads = payloadsOf(choice)
  const say = sayer(choice)
  const output = new Output()
  const code = await exchanged({ choice, topic, responseTopic, output, say }, payloads).catch(
    (error: unknown) => report(error, choice, say),
  )
  output.flush()
  return took('standard output', output, say) ? code : ExitCode.WRONG
}

/** From connecting to the last answer. @returns the exit code @throws LinkError, CommandFailure */
async function exchanged(terms: Terms, payloads: AsyncIterable<Uint8Array>): Promise<number> {
  const { choice, output, say } = terms
  const { timeoutSeconds } = choice
  let timer: NodeJS.Timeout | null = null
  const stopped = new Promise<number>(resolve => {
    if (timeoutSeconds > 0) {
      timer = setTimeout(resolve, timeoutSeconds * 1000, ExitCode.TIMED_OUT)
    }
    output.onGone = () => resolve(ExitCode.OK)
    process.once('SIGINT', () => resolve(ExitCode.OK))
    process.once('SIGTERM', () => resolve(ExitCode.OK))
  })
  try {
    const link = await Promise.race([
      openLink(choice, { reconnects: false, needsPacketIds: needsPacketIds(choice) }),
      stopped,
    ])
    if (typeof link === 'number') return ended(link, say)
    const exchange = new Exchange(terms, link)
    const code = await Promise.race([exchange.run(payloads), stopped, lost(link)])
    await link.close(code === ExitCode.TIMED_OUT ? 4 : 0)
    exchange.reportLatency()
    return ended(code, say)
  } finally {
    if (timer !== null) clearTimeout(timer)
  }
}

function ended(code: number, say: Say): number {
  if (code === ExitCode.TIMED_OUT) say('Timed out')
  return code
}

class Exchange {
  private readonly choice: ClientChoice
  private readonly link: Link
  private readonly topic: string
  private readonly responseTopic: string
  private readonly output: Output
  private readonly say: Say
  private readonly print: (message: PublishPacket) => void
  /** In the order in which they were sent, by their correlation data. */
  private readonly waiting = new Map<string, Request>()
  private readonly latenciesMs: number[] = []

  constructor({ choice, topic, responseTopic, output, say }: Terms, link: Link) {
    this.choice = choice
    this.link = link
    this.topic = topic
    this.responseTopic = responseTopic
    this.output = output
    this.say = say
    this.print = printer(choice, output, say)
    link.onMessage = message => {
      this.take(message)
      return true
    }
  }

  async run(payloads: AsyncIterable<Uint8Array>): Promise<number> {
    const { choice, link } = this
    const isV5 = choice.level === 5
    const codes = await link.subscribe([this.responseTopic], {
      qos: choice.qos,
      retainAsPublished: isV5 && choice.retainAsPublished,
      retainHandling: isV5 ? choice.retainHandling : 0,
      properties: choice.properties.subscribe,
    })
    const code = codes[0] ?? 0
    if (code >= FAILURE_CODE) {
      this.say(reasonText(code))
      return code
    }
    const pending = new Set<Promise<void>>()
    for await (const payload of payloads) {
      while (this.waiting.size >= choice.inflightMax) await Promise.race(pending)
      const answer: Promise<void> = this.ask(payload).finally(() => pending.delete(answer))
      pending.add(answer)
    }
    await Promise.all(pending)
    return ExitCode.OK
  }

  /** Prints how long the answers took: of one as mosquitto_rr does, of many a summary. */
  reportLatency(): void {
    const { latenciesMs, choice } = this
    if (!choice.latency || latenciesMs.length === 0) return
    if (choice.source.kind !== 'lines') {
      this.output.writeBytes(bytesOf(`Latency: ${duration(latenciesMs[0] ?? 0)}\n`))
      return
    }
    const sorted = [...latenciesMs].sort((a, b) => a - b)
    const at = (part: number): string =>
      duration(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0)
    const parts = [`min ${at(0)}`, `p50 ${at(0.5)}`, `p90 ${at(0.9)}`, `p99 ${at(0.99)}`]
    const line = `Latency of ${sorted.length}: ${parts.join('  ')}  max ${at(1)}\n`
    this.output.writeBytes(bytesOf(line))
  }

  private async ask(payload: Uint8Array): Promise<void> {
    const { choice, link, topic, responseTopic } = this
    const own = choice.properties.publish['correlationData']
    // One that is given is for one request; several are told apart by our own.
    const isOwn = own instanceof Uint8Array && choice.source.kind !== 'lines'
    const correlationData = isOwn ? own : randomBytes(CORRELATION_BYTES)
    const key = Buffer.from(correlationData).toString('latin1')
    const answer = new Promise<void>(resolve => {
      this.waiting.set(key, { sentMs: performance.now(), answered: resolve })
    })
    const properties = { ...choice.properties.publish, responseTopic, correlationData }
    const code = await link.publish({
      topic,
      payload,
      qos: choice.qos,
      retain: false,
      properties: choice.level === 5 ? properties : {},
    })
    if (code >= FAILURE_CODE) {
      this.waiting.delete(key)
      throw new CommandFailure(`the request was refused: ${reasonText(code)}`, code)
    }
    await answer
  }

  private take(message: PublishPacket): void {
    const { retain, properties } = message
    const key = this.keyOf(message)
    const request = key === null ? undefined : this.waiting.get(key)
    if (key === null || request === undefined) return
    if (retain && (this.choice.noRetained || properties.correlationData === undefined)) return
    this.waiting.delete(key)
    this.latenciesMs.push(performance.now() - request.sentMs)
    this.print(message)
    request.answered()
  }

  /** A responder that brings no correlation data back answers the oldest request. */
  private keyOf({ properties }: PublishPacket): string | null {
    const { correlationData } = properties
    if (correlationData === undefined) return this.waiting.keys().next().value ?? null
    return Buffer.from(correlationData).toString('latin1')
  }
}

function payloadsOf({ source }: ClientChoice): AsyncIterable<Uint8Array> {
  switch (source.kind) {
    case 'text':
      return one(encodeUtf8(source.text))
    case 'lines':
      return lines(process.stdin)
    case 'file':
    case 'stdin': {
      const path = source.kind === 'file' ? source.path : 0
      try {
        return one(readFileSync(path))
      } catch (error) {
        throw new CommandFailure(
          `Error loading input file "${path}": ${(error as Error).message}`,
          WRONG,
        )
      }
    }
    default:
      return one(new Uint8Array(0))
  }
}

async function* one(payload: Uint8Array): AsyncGenerator<Uint8Array> {
  yield payload
}

/** In the units that mosquitto_rr chooses. */
function duration(ms: number): string {
  if (ms >= 1000) return (ms / 1000).toFixed(9)
  return ms >= 1 ? `${ms.toFixed(6)}ms` : `${(ms * 1000).toFixed(6)}µs`
}
