// The commands `godwit export` and `godwit import`: all that a store keeps as lines of JSON, and a
// store from such lines. Messages for people go to standard error: the lines have the other one.

import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { exportStore, importStore, StoreError } from '@godwit/broker'
import { CommandFailure, StoreExit } from '../failure.ts'

export interface TransferFlags {
  readonly data?: string
  readonly salvage?: boolean
  readonly replace?: boolean
}

const DEFAULT_DATA = './data'
const NOT_WRITTEN = 1
/** So many characters are collected before they are written. */
const CHUNK_LENGTH = 64 * 1024

/** @throws CommandFailure */
export async function runExport(flags: TransferFlags, output: Writable): Promise<void> {
  let waiting: string[] = []
  let length = 0
  const flush = async (): Promise<void> => {
    const chunk = waiting.join('')
    waiting = []
    length = 0
    if (output.write(chunk)) return
    try {
      await once(output, 'drain')
    } catch (error) {
      // An export that was cut off is none, also where its reader has gone.
      throw new CommandFailure(`standard output: ${(error as Error).message}`, NOT_WRITTEN)
    }
  }
  const write = async (line: string): Promise<void> => {
    waiting.push(line, '\n')
    length += line.length
    if (length >= CHUNK_LENGTH) await flush()
  }
  const directory = flags.data ?? DEFAULT_DATA
  await explained(() => exportStore({ directory, salvage: flags.salvage === true, write }))
  await flush()
}

/** @throws CommandFailure */
export async function runImport(flags: TransferFlags, input: Readable): Promise<number> {
  const lines = linesOf(input)
  const directory = flags.data ?? DEFAULT_DATA
  return explained(() => importStore({ directory, lines, replace: flags.replace === true }))
}

/** Nothing is read before the first line is asked for, so nothing can be missed. */
async function* linesOf(input: Readable): AsyncGenerator<string> {
  input.setEncoding('utf8')
  let rest = ''
  for await (const chunk of input) {
    const lines = `${rest}${chunk}`.split(/\r?\n/)
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    const hint = error.code === 'not-empty' ? ': --replace removes what it holds' : ''
    throw new CommandFailure(`${error.message}${hint}`, exitCodeOf(error))
  }
}

function exitCodeOf({ code }: StoreError): number {
  if (code === 'locked') return StoreExit.locked
  const isData = code === 'corrupt' || code === 'newer-version' || code === 'invalid-import'
  return isData ? StoreExit.damaged : code === 'not-empty' ? 1 : StoreExit.failed
}
