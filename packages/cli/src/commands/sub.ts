// The command `godwit sub`: prints the messages of topics until it has had enough.

import { type PublishPacket, topicMatches } from '@godwit/packet'
import { ExitCode, lost, report, type Say, sayer, took } from '../network/ending.ts'
import { type Link, openLink, type SubscribeWishes } from '../network/link.ts'
import type { ClientChoice } from '../options/choice.ts'
import { Output } from '../output/output.ts'
import { needsPacketIds, printer, Recorder } from '../output/printer.ts'

const FAILURE_CODE = 0x80
/** The broker shall publish the will all the same, as mosquitto_sub asks when a signal ends it. */
const DISCONNECT_WITH_WILL = 4

interface End {
  readonly exitCode: number
  readonly reasonCode: number
}

const ENOUGH: End = { exitCode: ExitCode.OK, reasonCode: 0 }
const INTERRUPTED: End = { exitCode: ExitCode.OK, reasonCode: DISCONNECT_WITH_WILL }
const TIMED_OUT: End = { exitCode: ExitCode.TIMED_OUT, reasonCode: DISCONNECT_WITH_WILL }

/** Where messages go, and what is left to do at the end. */
interface Sink {
  readonly print: (message: PublishPacket) => void
  readonly close: () => void
}

/** @returns the exit code: that of CONNACK when refused, 27 when -W ended it */
export async function subscribe(choice: ClientChoice): Promise<number> {
  const say = sayer(choice)
  const output = new Output()
  const run = new Run(choice)
  output.onGone = () => run.end(ENOUGH)
  const { record } = choice
  const recorder = record === null ? null : new Recorder(record, () => run.end(ENOUGH))
  const sink = await openSink(choice, output, say)
  let code: number
  try {
    const ending = await run.connected(recorder === null ? sink.print : both(recorder, sink), say)
    if (ending === TIMED_OUT) say('Timed out')
    code = ending.exitCode
  } catch (error) {
    code = report(error, choice, say)
  } finally {
    sink.close()
    recorder?.close()
    output.flush()
  }
  const isWritten = took('standard output', output, say) && took('--record', recorder, say)
  return isWritten ? code : ExitCode.WRONG
}

function both(recorder: Recorder, { print }: Sink): Sink['print'] {
  return message => {
    recorder.add(message)
    print(message)
  }
}

class Run {
  private readonly choice: ClientChoice
  private readonly ended: Promise<End>
  private resolveEnd: (end: End) => void = () => undefined
  private isOver = false
  private printed = 0
  /** Retained messages that are being cleared. */
  private readonly clearing = new Set<Promise<unknown>>()

  constructor(choice: ClientChoice) {
    this.choice = choice
    this.ended = new Promise(resolve => {
      this.resolveEnd = resolve
    })
  }

  end(end: End): void {
    this.isOver = true
    this.resolveEnd(end)
  }

  /** From connecting to the end. @throws LinkError, CommandFailure */
  async connected(print: Sink['print'], say: Say): Promise<End> {
    const { choice } = this
    const { timeoutSeconds } = choice
    const timer =
      timeoutSeconds > 0 ? setTimeout(() => this.end(TIMED_OUT), timeoutSeconds * 1000) : null
    process.once('SIGINT', () => this.end(INTERRUPTED))
    process.once('SIGTERM', () => this.end(INTERRUPTED))
    try {
      const link = await Promise.race([
        openLink(choice, { reconnects: true, needsPacketIds: needsPacketIds(choice) }),
        this.ended,
      ])
      if (!('publish' in link)) return link
      link.onMessage = message => this.take(link, message, print)
      if (!choice.cleanSession) link.takeUnclaimed()
      const end = await Promise.race([this.subscribed(link, say), this.ended, lost(link)])
      await Promise.allSettled(this.clearing)
      await link.close(end.reasonCode)
      return end
    } finally {
      if (timer !== null) clearTimeout(timer)
    }
  }

  private async subscribed(link: Link, say: Say): Promise<End> {
    const { choice } = this
    const { topics, unsubscribes, properties, exitAfterSubscribe } = choice
    const isV5 = choice.level === 5
    if (topics.length > 0) {
      const codes = await subscribeTo(link, topics, unsubscribes, {
        qos: choice.qos,
        retainAsPublished: isV5 && choice.retainAsPublished,
        retainHandling: isV5 ? choice.retainHandling : 0,
        properties: properties.subscribe,
      })
      const refused = codes.filter(code => code >= FAILURE_CODE)
      if (refused.length === codes.length) {
        say('All subscription requests were denied.')
        return { exitCode: refused[0] ?? ExitCode.WRONG, reasonCode: 0 }
      }
      for (const [index, code] of codes.entries()) {
        if (code >= FAILURE_CODE) say(`Warning: the subscription to ${topics[index]} was denied.`)
      }
    }
    for (const filter of unsubscribes) await link.unsubscribe(filter, properties.unsubscribe)
    return exitAfterSubscribe ? ENOUGH : await this.ended
  }

  /** @returns whether it has arrived */
  private take(link: Link, message: PublishPacket, print: Sink['print']): boolean {
    const { choice } = this
    if (this.isOver) return false
    if (choice.retainedOnly && !message.retain) {
      this.end(ENOUGH)
      return true
    }
    if (message.retain && choice.noRetained) return true
    if (choice.filterOuts.some(filter => topicMatches(filter, message.topic))) return true
    if (choice.removeRetained && message.retain) this.clear(link, message.topic)
    print(message)
    this.printed++
    if (choice.count > 0 && this.printed >= choice.count) this.end(ENOUGH)
    return true
  }

  private clear(link: Link, topic: string): void {
    const empty = {
      topic,
      payload: new Uint8Array(0),
      qos: 1,
      retain: true,
      properties: {},
    } as const
    const cleared = link.publish(empty).finally(() => this.clearing.delete(cleared))
    // A connection that is lost is noticed where it is waited for.
    cleared.catch(() => undefined)
    this.clearing.add(cleared)
  }
}

/** What is left at once (-U) is subscribed to alone. @returns the codes in the order of `topics` */
async function subscribeTo(
  link: Link,
  topics: readonly string[],
  unsubscribes: readonly string[],
  wishes: SubscribeWishes,
): Promise<number[]> {
  const stays = topics.filter(topic => !unsubscribes.includes(topic))
  const leaves = [...new Set(unsubscribes)].filter(topic => topics.includes(topic))
  const codes = new Map<string, number>()
  for (const group of [stays, ...leaves.map(topic => [topic])]) {
    if (group.length === 0) continue
    const granted = await link.subscribe(group, wishes)
    for (const [i, topic] of group.entries()) codes.set(topic, granted[i] ?? 0)
  }
  return topics.map(topic => codes.get(topic) ?? 0)
}

async function openSink(choice: ClientChoice, output: Output, say: Say): Promise<Sink> {
  if (choice.messageRate) return rateSink(output)
  if (choice.watch && process.stdout.isTTY) {
    const { Watch } = await import('../output/watch.ts')
    const watch = new Watch(`godwit sub ${choice.topics.join(' ')}`, process.stdout)
    return { print: message => watch.add(message), close: () => watch.close() }
  }
  return { print: printer(choice, output, say), close: () => undefined }
}

/** A line per second with how many came in it. */
function rateSink(output: Output): Sink {
  let count = 0
  const timer = setInterval(() => {
    output.writeBytes(`${count}\n`)
    count = 0
  }, 1000)
  return {
    print: () => {
      count++
    },
    close: () => clearInterval(timer),
  }
}
