// What the options of a mosquitto.conf take: how a value is read, and what to say of one that is
// none.

/** A value as it was read. */
export type Value = boolean | number | string

export interface Reader {
  /** For errors: "expected …". */
  readonly expected: string
  /** True: the value is the rest of the line, and the option may stand once. */
  readonly isText: boolean
  /** @returns null when it is not what it must be */
  read(text: string): Value | null
}

export const BOOLEAN: Reader = {
  expected: 'true or false',
  isText: false,
  read: text => {
    if (text === 'true' || text === '1') return true
    return text === 'false' || text === '0' ? false : null
  },
}

export const TEXT: Reader = {
  expected: 'a text',
  isText: true,
  read: text => (text === '' ? null : text),
}

export const PATH: Reader = { ...TEXT, expected: 'a path' }

/** A text that may stand several times. */
export const WORDS: Reader = { ...TEXT, isText: false, expected: 'a word' }

const INT_MAX = 2 ** 31 - 1

/** A whole number; with a low below zero all of these stand for "no limit". */
export function number(low: number, high: number = INT_MAX): Reader {
  const upTo = high === INT_MAX ? `at least ${low}` : `from ${low} to ${high}`
  return {
    expected: `a whole number ${upTo}`,
    isText: false,
    read: text => {
      if (!/^-?\d+$/.test(text)) return null
      const value = Number(text)
      return value >= low && value <= high ? value : null
    },
  }
}

export function oneOf(...words: readonly string[]): Reader {
  return {
    expected: words.length === 1 ? `${words[0]}` : `one of ${words.join(', ')}`,
    isText: false,
    read: text => (words.includes(text) ? text : null),
  }
}

const DAY = 86_400
const UnitSeconds: ReadonlyMap<string, number> = new Map([
  ['s', 1],
  ['h', 3600],
  ['d', DAY],
  ['w', 7 * DAY],
  ['m', 30 * DAY],
  ['y', 365 * DAY],
])

/** In seconds. */
export const DURATION: Reader = {
  expected: 'a number of hours, days, weeks, months or years, such as 12h, 14d, 2w, 2m or 1y',
  isText: false,
  read: text => {
    const [, count = '', unit = ''] = /^(\d+)([shdwmy])$/.exec(text) ?? []
    const seconds = Number(count) * (UnitSeconds.get(unit) ?? 0)
    return seconds > 0 && seconds < 0xffff_ffff ? seconds : null
  },
}

/** The first word, and what stands behind it that is no comment. */
export function firstWord(text: string): { readonly word: string; readonly rest: string } {
  const end = text.indexOf(' ')
  if (end < 0) return { word: text, rest: '' }
  const rest = text.slice(end).trim()
  return { word: text.slice(0, end), rest: rest.startsWith('#') ? '' : rest }
}
