// The command `godwit passwd`: makes and changes password files as mosquitto_passwd does.

import { chmodSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import {
  hashPassword,
  PASSWORD_HASH_KINDS,
  PasswordHashError,
  type PasswordHashKind,
  parsePasswordHash,
} from '@godwit/broker'
import { CommandFailure, usage } from '../failure.ts'
import { askPassword } from '../network/password.ts'
import { parseCount } from '../values.ts'

export interface PasswdFlags {
  readonly create?: boolean
  readonly batch?: boolean
  readonly delete?: boolean
  readonly update?: boolean
  readonly verify?: boolean
  readonly hash?: string
  readonly iterations?: string
}

/** Only its owner may read it. */
const NEW_FILE_MODE = 0o600
const WRONG = 1

interface Line {
  readonly name: string
  readonly rest: string
}

/** @param words file, user name, and with -b the password. @returns the exit code */
export async function passwd(words: readonly string[], flags: PasswdFlags): Promise<number> {
  const [path, name, password, more] = words
  if (path === undefined) usage('say which file: godwit passwd file name', WRONG)
  if (more !== undefined) usage(`'${more}' is one word too many`, WRONG)
  const kind = kindOf(flags.hash)
  const { iterations } = flags
  const options = iterations === undefined ? {} : { iterations: parseCount('-I', iterations) }
  const hash = (text: Uint8Array): Promise<string> => hashPassword(text, kind, options)
  if (flags.update === true) return update(path, hash)
  if (name === undefined) usage('say who: godwit passwd file name', WRONG)
  checkName(name)
  if (flags.delete === true) return remove(path, name)
  if (flags.verify === true) return verify(path, name, await passwordOf(flags, password, false))
  const isGiven = password !== undefined
  if (isGiven !== (flags.batch === true)) {
    usage(isGiven ? 'a password on the command line needs -b' : '-b needs the password', WRONG)
  }
  const lines = flags.create === true ? [] : read(path)
  const secret = await passwordOf(flags, password, true)
  if (secret.length === 0) usage('the password is empty', WRONG)
  const line = { name, rest: await hashed(hash, secret) }
  const known = lines.some(each => each.name === name)
  const changed = lines.map(each => (each.name === name ? line : each))
  write(path, known ? changed : [...lines, line])
  return 0
}

async function hashed(hash: (text: Uint8Array) => Promise<string>, secret: Uint8Array) {
  try {
    return await hash(secret)
  } catch (error) {
    if (error instanceof RangeError) usage(error.message, WRONG)
    throw error
  }
}

function kindOf(text: string | undefined): PasswordHashKind {
  const kind = PASSWORD_HASH_KINDS.find(each => each === (text ?? 'sha512-pbkdf2'))
  if (kind === undefined) usage(`-H takes ${PASSWORD_HASH_KINDS.join(', ')}, not ${text}`, WRONG)
  return kind
}

function checkName(name: string): void {
  if (name === '' || /[:\n\r]/.test(name)) {
    usage(`a user name is not empty and has no colon, not ${JSON.stringify(name)}`, WRONG)
  }
}

/** Of the command line with -b, else of the terminal, twice when it is new, or a line of a pipe. */
async function passwordOf(
  flags: PasswdFlags,
  given: string | undefined,
  isNew: boolean,
): Promise<Uint8Array> {
  if (flags.batch === true) {
    return Buffer.from(given ?? '')
  }
  if (!process.stdin.isTTY) return firstLine(readFileSync(0))
  const first = await askPassword('Password: ')
  if (!isNew) return first
  const second = await askPassword('Reenter password: ')
  if (Buffer.compare(first, second) !== 0)
    throw new CommandFailure('Passwords do not match.', WRONG)
  return first
}

function firstLine(bytes: Buffer): Uint8Array {
  const end = bytes.indexOf('\n')
  return end < 0 ? bytes : bytes.subarray(0, end)
}

function remove(path: string, name: string): number {
  const lines = read(path)
  const left = lines.filter(each => each.name !== name)
  if (left.length === lines.length) {
    throw new CommandFailure(`there is no user ${name} in ${path}`, WRONG)
  }
  write(path, left)
  return 0
}

/** Hashes what is still in plain text. */
async function update(path: string, hash: (text: Uint8Array) => Promise<string>): Promise<number> {
  const lines: Line[] = []
  for (const line of read(path)) {
    const isPlain = line.name !== '' && !isHash(line.rest)
    lines.push(isPlain ? { ...line, rest: await hash(Buffer.from(line.rest)) } : line)
  }
  write(path, lines)
  return 0
}

function isHash(text: string): boolean {
  try {
    parsePasswordHash(text)
    return true
  } catch (error) {
    if (error instanceof PasswordHashError) return false
    throw error
  }
}

async function verify(path: string, name: string, password: Uint8Array): Promise<number> {
  const line = read(path).find(each => each.name === name)
  if (line === undefined) throw new CommandFailure(`there is no user ${name} in ${path}`, WRONG)
  if (!(await parsePasswordHash(line.rest).verify(password))) {
    throw new CommandFailure(`that is not the password of ${name}`, WRONG)
  }
  console.log(`that is the password of ${name}`)
  return 0
}

/** Comments and empty lines are kept: they are lines without a name. */
function read(path: string): Line[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const hint = existsSync(path) ? '' : ': -c makes a new one'
    throw new CommandFailure(`${path} cannot be read${hint} (${(error as Error).message})`, WRONG)
  }
  return text
    .replace(/\n$/, '')
    .split('\n')
    .map(line => line.replace(/\r$/, ''))
    .map(line => {
      const colon = line.startsWith('#') ? -1 : line.indexOf(':')
      return { name: line.slice(0, Math.max(0, colon)), rest: line.slice(colon + 1) }
    })
}

/** The new file takes the place of the old one at once: a broker never reads half of it. */
function write(path: string, lines: readonly Line[]): void {
  const text = lines.map(({ name, rest }) => `${name === '' ? '' : `${name}:`}${rest}\n`).join('')
  const mode = existsSync(path) ? statSync(path).mode & 0o777 : NEW_FILE_MODE
  const temporary = `${path}.${process.pid}.new`
  try {
    writeFileSync(temporary, text, { mode, flag: 'wx' })
    chmodSync(temporary, mode)
    renameSync(temporary, path)
  } catch (error) {
    throw new CommandFailure(`${path} cannot be written: ${(error as Error).message}`, WRONG)
  }
}
