// The flags of the Go programs that this project began with, as they were: one dash and a word.

interface LegacyFlags {
  /** Names of the flags that take a value, and those that take none. */
  readonly values: readonly string[]
  readonly switches: readonly string[]
}

const LegacyByCommand: Readonly<Record<string, LegacyFlags>> = {
  serve: { values: ['addr'], switches: ['dump'] },
  pub: { values: ['host', 'id', 'user', 'pass'], switches: ['dump', 'retain', 'wait'] },
  sub: { values: ['host', 'id', 'user', 'pass'], switches: ['dump'] },
}

/** Options whose value may itself begin with a dash. */
const TAKES_VALUE = /^-[a-zA-Z]$/

/**
 * Gives the flags the two dashes that the parser knows: `-addr :1883` becomes `--addr :1883`.
 * What follows an option such as `-m` is its value and stays.
 */
export function withLegacyFlags(args: readonly string[]): string[] {
  const command = args.find(arg => !arg.startsWith('-')) ?? ''
  const known = LegacyByCommand[command]
  if (known === undefined) return [...args]
  let literal = false
  return args.map((arg, index) => {
    if (arg === '--') literal = true
    const before = args[index - 1] ?? ''
    if (literal || (TAKES_VALUE.test(before) && !isSwitch(before))) return arg
    const match = /^-([a-z]+)(=.*)?$/s.exec(arg)
    const name = match?.[1] ?? ''
    const value = match?.[2] ?? ''
    if (known.values.includes(name)) return `--${name}${value}`
    if (!known.switches.includes(name)) return arg
    return value === '=false' ? '--legacy-off' : `--${name}`
  })
}

function isSwitch(option: string): boolean {
  return 'cdlnrsvENR'.includes(option.charAt(1))
}
