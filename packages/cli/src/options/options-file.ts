// The file of options: the one of -o, else the user's own, where an option and its value are a
// line.

import { existsSync, readFileSync } from 'node:fs'
import { usage } from '../failure.ts'
import type { ClientCommand } from './choice.ts'
import { WRONG } from './option.ts'

const Texts = new Set(['-m', '--message', '--will-payload', '-F'])

/**
 * The path of the options file: of -o, else `godwit_pub` or `mosquitto_pub` in `$XDG_CONFIG_HOME`
 * or `~/.config`.
 * @returns null when there is none
 */
export function findOptionsFile(
  command: ClientCommand,
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): string | null {
  const at = words.indexOf('-o')
  if (at >= 0) {
    const path = words[at + 1]
    if (path === undefined) usage('-o argument given but no options file specified.', WRONG)
    if (words.includes('-o', at + 2)) usage('Duplicate -o argument given.', WRONG)
    return path
  }
  const { XDG_CONFIG_HOME: config, HOME: home } = environment
  const folder = config ?? (home === undefined ? null : `${home}/.config`)
  if (folder === null) return null
  const paths = [`${folder}/godwit_${command}`, `${folder}/mosquitto_${command}`]
  return paths.find(path => existsSync(path)) ?? null
}

/** The words of each line: an option, and the rest of the line as its value. */
export function readOptionsFile(path: string): string[][] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    return usage(`the options file cannot be read: ${(error as Error).message}`, WRONG)
  }
  return text
    .split(/\r?\n/)
    .filter(line => !line.startsWith('#') && line.trim() !== '')
    .map(line => wordsOf(line))
}

function wordsOf(line: string): string[] {
  const [, option = '', rest = ''] = /^ *(\S+) ?(.*)$/s.exec(line) ?? []
  // Mosquitto keeps them in front of every value; only for a text they mean something.
  const value = Texts.has(option) ? rest : rest.replace(/^ +/, '')
  if (option === '-D' || option === '--property') return [option, ...propertyWords(value)]
  return value === '' ? [option] : [option, value]
}

/** `command identifier value`: the value is all that is left, of a user property after its name. */
function propertyWords(text: string): string[] {
  const [command = '', identifier = '', ...rest] = text.split(/ +/)
  if (identifier !== 'user-property' || rest.length < 2) {
    return [command, identifier, rest.join(' ')]
  }
  const [name = '', ...value] = rest
  return [command, identifier, name, value.join(' ')]
}
