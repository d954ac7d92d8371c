// The flags of the Go programs that this project began with, as they were: one dash and a word.
// Those of pub and sub are in the tables of options/.

interface LegacyFlags {
  /** Names of the flags that take a value, and those that take none. */
  readonly values: readonly string[]
  readonly switches: readonly string[]
}

const LegacyByCommand: Readonly<Record<string, LegacyFlags>> = {
  serve: { values: ['addr'], switches: ['dump'] },
  ticktock: { values: ['host', 'id', 'user', 'pass', 'delay', 'who'], switches: ['dump'] },
}

/** Gives the flags the two dashes that the parser knows: `-addr :1883` becomes `--addr :1883`. */
export function withLegacyFlags(args: readonly string[]): string[] {
  const command = args.find(arg => !arg.startsWith('-')) ?? ''
  const known = LegacyByCommand[command]
  if (known === undefined) return [...args]
  const words: string[] = []
  for (const [index, arg] of args.entries()) {
    if (arg === '--') return [...words, ...args.slice(index)]
    const [, name = '', value = ''] = /^-([a-z]+)(=.*)?$/s.exec(arg) ?? []
    if (known.values.includes(name)) words.push(`--${name}${value}`)
    else if (!known.switches.includes(name)) words.push(arg)
    // Go's way to say no, which is also what holds without the flag.
    else if (value !== '=false') words.push(`--${name}`)
  }
  return words
}
