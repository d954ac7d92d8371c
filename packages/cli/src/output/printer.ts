// How sub and rr print a message: chosen once from the options, then called for each.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import type { PublishPacket } from '@godwit/packet'
import { CommandFailure } from '../failure.ts'
import { type ClientChoice, RANDOM_FILTER_ALL } from '../options/choice.ts'
import { WRONG } from '../options/option.ts'
import { byteString, bytesOf, formatter } from './format.ts'
import { toJsonLine } from './json-lines.ts'
import { momentNow } from './moment.ts'
import type { Output } from './output.ts'

/** Whether what is printed has packet identifiers in it. */
export function needsPacketIds({ format }: ClientChoice): boolean {
  return format !== null && /%[^%]*[mjJ]/.test(format)
}

/** @param warn told of messages that cannot be printed */
export function printer(
  choice: ClientChoice,
  output: Output,
  warn: (text: string) => void,
): (message: PublishPacket) => void {
  const print = plainPrinter(choice, output, warn)
  const { randomFilter } = choice
  if (randomFilter >= RANDOM_FILTER_ALL) return print
  return message => {
    if (Math.random() * RANDOM_FILTER_ALL < randomFilter) print(message)
  }
}

function plainPrinter(
  choice: ClientChoice,
  output: Output,
  warn: (text: string) => void,
): (message: PublishPacket) => void {
  const end = choice.newline ? '\n' : ''
  if (choice.json) {
    return message => output.writeBytes(`${bytesOf(toJsonLine(message, nowMs()))}\n`)
  }
  if (choice.goFormat) {
    return ({ topic, payload, retain }) => {
      output.writeBytes(`${bytesOf(topic)}\t${byteString(payload)}\tr:  ${retain}\n`)
    }
  }
  if (choice.format !== null) {
    const format = formatter(choice.format, { pretty: choice.pretty, warn })
    return message => output.writeBytes(format(message) + end)
  }
  if (choice.verbose) {
    return ({ topic, payload }) => {
      if (payload.length > 0) {
        output.writeBytes(`${bytesOf(topic)} ${byteString(payload)}${end}`)
      } else if (choice.newline) output.writeBytes(`${bytesOf(topic)} (null)\n`)
    }
  }
  return ({ payload }) => {
    if (payload.length > 0) output.writeBytes(byteString(payload) + end)
  }
}

/** Writes messages to a file as lines of JSON, with the times when they came. */
export class Recorder {
  /** Why nothing more is written. */
  failure: Error | null = null
  private readonly file: number
  private readonly onFailure: () => void
  private lines: string[] = []

  /** @throws CommandFailure */
  constructor(path: string, onFailure: () => void) {
    this.onFailure = onFailure
    try {
      this.file = openSync(path, 'w')
    } catch (error) {
      throw new CommandFailure(`--record: ${(error as Error).message}`, WRONG)
    }
  }

  add(message: PublishPacket): void {
    this.lines.push(toJsonLine(message, nowMs()))
    if (this.lines.length === 1) setImmediate(() => this.write())
  }

  close(): void {
    this.write()
    try {
      fsyncSync(this.file)
    } catch (error) {
      // A pipe or a device has nothing to sync.
      if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes(codeOf(error))) this.failure ??= error as Error
    }
    closeSync(this.file)
  }

  private write(): void {
    if (this.lines.length === 0) return
    const bytes = Buffer.from(`${this.lines.join('\n')}\n`)
    this.lines = []
    if (this.failure !== null) return
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.file, bytes, at)
    } catch (error) {
      this.failure = error as Error
      this.onFailure()
    }
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}

function nowMs(): number {
  const { date, nanoseconds } = momentNow()
  return Math.floor(date.getTime() / 1000) * 1000 + nanoseconds / 1e6
}
