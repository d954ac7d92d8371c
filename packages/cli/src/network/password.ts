// A password that is not on the command line: from the environment, a file, or the terminal.

import { readFileSync } from 'node:fs'
import { usage } from '../failure.ts'
import type { PasswordPlace } from '../options/choice.ts'
import { WRONG } from '../options/option.ts'

const ENTER = new Set([0x0a, 0x0d])
const INTERRUPT = 0x03
const END = 0x04
const ERASE = new Set([0x08, 0x7f])
const INTERRUPTED_EXIT_CODE = 130

/** @throws CommandFailure when there is none */
export async function fetchPassword(place: PasswordPlace): Promise<Uint8Array> {
  switch (place.kind) {
    case 'environment': {
      const password = process.env[place.name]
      if (password === undefined) {
        usage(`--pw-env: the environment has no variable ${place.name}`, WRONG)
      }
      return Buffer.from(password)
    }
    case 'file':
      return readPasswordFile(place.path)
    default:
      return askPassword('Password: ')
  }
}

function readPasswordFile(path: string): Uint8Array {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    return usage(`--pw-file: ${(error as Error).message}`, WRONG)
  }
  const end = bytes.indexOf('\n')
  const line = end < 0 ? bytes : bytes.subarray(0, end)
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line
}

/** Asks at the terminal without showing what is typed. @throws CommandFailure without a terminal */
export function askPassword(question: string): Promise<Uint8Array> {
  const { stdin, stderr } = process
  if (!stdin.isTTY) usage('there is no terminal to ask for the password at', WRONG)
  // Before the question: what is typed at once must not be shown either.
  stdin.setRawMode(true)
  stderr.write(question)
  return new Promise((resolve, reject) => {
    const typed: number[] = []
    const finish = (): void => {
      stdin.off('data', onData)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
    }
    const onData = (chunk: Buffer): void => {
      for (const byte of chunk) {
        if (ENTER.has(byte) || byte === END) {
          finish()
          resolve(Uint8Array.from(typed))
          return
        }
        if (byte === INTERRUPT) {
          finish()
          process.exit(INTERRUPTED_EXIT_CODE)
        }
        if (ERASE.has(byte)) eraseCharacter(typed)
        else typed.push(byte)
      }
    }
    stdin.on('data', onData)
    stdin.on('error', reject)
  })
}

/** The last character, which in UTF-8 may be several bytes. */
function eraseCharacter(typed: number[]): void {
  let byte = typed.pop()
  while (byte !== undefined && (byte & 0xc0) === 0x80) byte = typed.pop()
}
