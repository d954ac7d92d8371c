// Messages that pub reads one after the other: lines of standard input, lines of JSON, a recording.

import { createReadStream, openSync } from 'node:fs'
import { isTopicName } from '@godwit/packet'
import { CommandFailure } from '../failure.ts'
import type { OutgoingMessage } from '../network/link.ts'
import type { ClientChoice, Source } from '../options/choice.ts'
import { WRONG } from '../options/option.ts'
import { fromJsonLine, LineError, type LineMessage } from '../output/json-lines.ts'
import { lines } from '../output/lines.ts'

type Defaults = Omit<OutgoingMessage, 'payload'>

export function incoming(
  choice: ClientChoice,
  source: Source,
  defaults: Defaults,
): AsyncIterable<OutgoingMessage> {
  switch (source.kind) {
    case 'json':
      return published(jsonLines(process.stdin, 'standard input'), defaults)
    case 'replay':
      return published(
        paced(jsonLines(recording(source.path), source.path), choice.replaySpeed),
        defaults,
      )
    default:
      return plainLines(defaults)
  }
}

/** Opened before there is a connection, so that a wrong name is told at once. */
function recording(path: string): AsyncIterable<Uint8Array> {
  try {
    return createReadStream(path, { fd: openSync(path, 'r') })
  } catch (error) {
    throw new CommandFailure(`${path} cannot be read: ${(error as Error).message}`, WRONG)
  }
}

async function* plainLines(defaults: Defaults): AsyncGenerator<OutgoingMessage> {
  for await (const payload of lines(process.stdin)) yield { ...defaults, payload }
}

/** @throws CommandFailure with the number of a line that is no message */
async function* jsonLines(
  input: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<LineMessage> {
  let number = 0
  try {
    for await (const line of lines(input)) {
      number++
      const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8')
      if (text.trim() !== '') yield fromJsonLine(text)
    }
  } catch (error) {
    if (error instanceof LineError) {
      throw new CommandFailure(`line ${number} of ${name} ${error.message}`, WRONG)
    }
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    throw new CommandFailure(`${name} cannot be read: ${(error as Error).message}`, WRONG)
  }
}

async function* published(
  messages: AsyncIterable<LineMessage>,
  defaults: Defaults,
): AsyncGenerator<OutgoingMessage> {
  for await (const message of messages) {
    const topic = message.topic === '' ? defaults.topic : message.topic
    if (!isTopicName(topic)) {
      throw new CommandFailure('a line has no topic, and there is no -t', WRONG)
    }
    yield {
      topic,
      payload: message.payload,
      qos: message.qos ?? defaults.qos,
      retain: message.retain ?? defaults.retain,
      properties: { ...defaults.properties, ...message.properties },
    }
  }
}

/** Keeps to the clock of the recording: what is late once does not delay all that follows. */
async function* paced(
  messages: AsyncIterable<LineMessage>,
  speed: number,
): AsyncGenerator<LineMessage> {
  let recordedStart: number | null = null
  const started = performance.now()
  for await (const message of messages) {
    if (message.timeMs !== null && Number.isFinite(speed)) {
      recordedStart ??= message.timeMs
      const dueMs = (message.timeMs - recordedStart) / speed
      const waitMs = started + dueMs - performance.now()
      if (waitMs > 0) await new Promise(resolve => setTimeout(resolve, waitMs))
    }
    yield message
  }
}
