// Options that do not exist: a misspelt one must not be ignored. TypeScript finds it before; this
// is for JavaScript.

import { invalidArgument } from './errors.ts'

/** Every option of a kind, whatever its value; the compiler sees to it that none is missing. */
export type OptionNames<Options> = { readonly [Name in keyof Required<Options>]: unknown }

/** Of how many letters of a name one may be wrong. */
const LETTERS_PER_CHANGE = 3

/** @throws MqttError `invalid-argument`, with the nearest name that there is */
export function checkNames<Options extends object>(
  where: string,
  options: Options,
  names: OptionNames<Options>,
): void {
  for (const name in options) {
    if (names[name] === undefined) throw unknownOption(where, name, Object.keys(names))
  }
}

function unknownOption(where: string, name: string, names: readonly string[]): Error {
  let hint = `; there are ${names.join(', ')}`
  let least = name.length / LETTERS_PER_CHANGE + 1
  for (const known of names) {
    const changes = changesBetween(name.toLowerCase(), known.toLowerCase())
    if (changes < least) {
      least = changes
      hint = `, did you mean ${known}?`
    }
  }
  return invalidArgument(`${where}: there is no option ${name}${hint}`)
}

/** Letters to insert, delete or replace; none when one name begins with the other. */
function changesBetween(a: string, b: string): number {
  if (b.startsWith(a) || a.startsWith(b)) return 0
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const letter of a) {
    const next = [(row[0] ?? 0) + 1]
    for (let i = 0; i < b.length; i++) {
      const replaced = (row[i] ?? 0) + (letter === b[i] ? 0 : 1)
      next.push(Math.min(replaced, (row[i + 1] ?? 0) + 1, (next[i] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
