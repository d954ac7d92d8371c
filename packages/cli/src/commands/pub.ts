// The command `godwit pub`: publishes a message, or many from standard input or a recording.

import { readFileSync } from 'node:fs'
import { encodeUtf8, isTopicName } from '@godwit/packet'
import { CommandFailure, usage } from '../failure.ts'
import { ExitCode, lost, report, type Say, sayer } from '../network/ending.ts'
import { type Link, type OutgoingMessage, openLink } from '../network/link.ts'
import type { ClientChoice, Source } from '../options/choice.ts'
import { WRONG } from '../options/option.ts'
import { reasonText } from '../output/texts.ts'
import { incoming } from './pub-sources.ts'

const FAILURE_CODE = 0x80
/** Messages that are handed over and not acknowledged, besides those in the window. */
const AHEAD = 1000

/** @returns the exit code: that of CONNACK when refused, 7 when the connection was lost */
export async function publish(choice: ClientChoice): Promise<number> {
  const messages = messagesOf(choice)
  const say = sayer(choice)
  let link: Link
  try {
    const { source, wait } = choice
    const reconnects = wait || ['lines', 'json', 'replay'].includes(source.kind)
    link = await openLink(choice, { reconnects, needsPacketIds: false })
  } catch (error) {
    return report(error, choice, say)
  }
  const stopped = new Promise<number>(resolve => {
    process.once('SIGINT', () => resolve(128 + 2))
    process.once('SIGTERM', () => resolve(128 + 15))
  })
  try {
    const { kind } = choice.source
    const all = kind === 'json' || kind === 'replay' ? told(messages, link, say) : messages
    const code = await Promise.race([sendAll(link, all, say), stopped, lost(link)])
    if (choice.wait && code < FAILURE_CODE) await Promise.race([stopped, lost(link)])
    await link.close()
    return code
  } catch (error) {
    // What came before a line that is none has been taken: it goes out.
    await link.close()
    return report(error, choice, say)
  }
}

/**
 * Everything that can be wrong with the messages is, as far as possible, said before connecting.
 */
function messagesOf(choice: ClientChoice): AsyncIterable<OutgoingMessage> {
  const { source } = choice
  const topic = choice.topics[0] ?? ''
  const brings = source.kind === 'json' || source.kind === 'replay'
  const alias = choice.properties.publish['topicAlias'] !== undefined
  if (source.kind === 'none' || (topic === '' && !brings)) {
    usage(
      'Both topic and message must be supplied: -t topic and -m message, or -f, -s, -l, -n',
      WRONG,
    )
  }
  if (topic !== '' && !isTopicName(topic)) usage(`Invalid publish topic '${topic}'`, WRONG)
  if (alias && source.kind !== 'text') usage('topic-alias is only for -m', WRONG)
  const defaults = {
    topic,
    qos: choice.qos,
    retain: choice.retain,
    properties: choice.level === 5 ? choice.properties.publish : {},
  }
  if (brings || source.kind === 'lines') return incoming(choice, source, defaults)
  return repeated({ ...defaults, payload: payloadOf(source) }, choice)
}

function payloadOf(source: Source): Uint8Array {
  switch (source.kind) {
    case 'text':
      return encodeUtf8(source.text)
    case 'file':
      try {
        return readFileSync(source.path)
      } catch (error) {
        throw new CommandFailure(
          `Unable to open file "${source.path}": ${(error as Error).message}`,
          WRONG,
        )
      }
    case 'stdin': {
      const bytes = readFileSync(0)
      // -n is how to publish nothing; here it is a pipe that broke before it.
      if (bytes.length === 0) throw new CommandFailure('Zero length input.', WRONG)
      return bytes
    }
    default:
      return new Uint8Array(0)
  }
}

async function* repeated(
  message: OutgoingMessage,
  { repeatCount, repeatDelaySeconds }: ClientChoice,
): AsyncGenerator<OutgoingMessage> {
  for (let i = 0; i < repeatCount; i++) {
    if (i > 0 && repeatDelaySeconds > 0) {
      await new Promise(resolve => setTimeout(resolve, repeatDelaySeconds * 1000))
    }
    yield message
  }
}

/** Says once that properties are left out. */
async function* told(
  messages: AsyncIterable<OutgoingMessage>,
  link: Link,
  say: Say,
): AsyncGenerator<OutgoingMessage> {
  let isTold = false
  for await (const message of messages) {
    if (!isTold && !link.hasProperties && Object.keys(message.properties).length > 0) {
      isTold = true
      say('Warning: properties are left out: this connection is not of MQTT 5.0 (-V 5).')
    }
    yield message
  }
}

/**
 * Takes the next message when there is room for it, and waits for the last acknowledgement, also
 * when the messages end with an error.
 * @returns 0, or the last refusal's reason code
 */
export async function sendAll(
  link: Pick<Link, 'publish'>,
  messages: AsyncIterable<OutgoingMessage>,
  say: Say,
): Promise<number> {
  const state = { under: 0, worst: ExitCode.OK as number, failure: null as unknown }
  let wake: () => void = () => undefined
  const settled = (): void => {
    state.under--
    wake()
  }
  const below = async (count: number): Promise<void> => {
    while (state.under > count && state.failure === null) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
  const taken = async (): Promise<void> => {
    let number = 0
    for await (const message of messages) {
      const mine = ++number
      state.under++
      link.publish(message).then(
        code => {
          if (code >= FAILURE_CODE) {
            state.worst = code
            say(`Warning: Publish ${mine} failed: ${reasonText(code)}.`)
          }
          settled()
        },
        (error: unknown) => {
          state.failure ??= error
          settled()
        },
      )
      await below(AHEAD - 1)
      if (state.failure !== null) break
    }
  }
  await taken().finally(() => below(0))
  if (state.failure !== null) throw state.failure
  return state.worst
}
