// Options that do not exist: a misspelt one must not be ignored. TypeScript finds it before; this
// is for JavaScript. What their values may be is in option-values.ts.

import { invalidArgument } from './errors.ts'

/** Every option of a kind, whatever its value; the compiler sees to it that none is missing. */
export type OptionNames<Options> = { readonly [Name in keyof Required<Options>]: unknown }

let checkValues: ((where: string, options: object) => void) | null = null
let nearest: ((name: string, names: readonly string[]) => string | null) | null = null

/** Names and, in Node, values: for what is not called per message. @throws as `checkNames` */
export function checkOptions<Options extends object>(
  where: string,
  options: Options,
  names: OptionNames<Options>,
): void {
  checkNames(where, options, names)
  checkValues?.(where, options)
}

/** @throws MqttError `invalid-argument`, with the names that there are */
export function checkNames<Options extends object>(
  where: string,
  options: Options,
  names: OptionNames<Options>,
): void {
  // As a callback is, which would never be called.
  if (typeof options !== 'object') {
    throw invalidArgument(`${where}: expected options, got ${typeof options}`)
  }
  for (const name in options) {
    if (!Object.hasOwn(names, name)) throw unknownOption(where, name, Object.keys(names))
  }
}

function unknownOption(where: string, name: string, names: readonly string[]): Error {
  const meant = nearest?.(name, names)
  const hint = meant == null ? `; there are ${names.join(', ')}` : `, did you mean ${meant}?`
  return invalidArgument(`${where}: there is no option ${name}${hint}`)
}

/** Has a guess made which name was meant, and values checked: for a page it is too much to load. */
export function checkWith(guess: typeof nearest, check: typeof checkValues): void {
  nearest = guess
  checkValues = check
}
