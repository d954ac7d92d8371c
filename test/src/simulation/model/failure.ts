// What a run that broke a rule says.

export class RuleBroken extends Error {
  readonly rule: string

  constructor(rule: string, text: string) {
    super(`${rule}: ${text}`)
    this.name = 'RuleBroken'
    this.rule = rule
  }
}

/** The rule does not hold. */
export function broken(rule: string, text: string): never {
  throw new RuleBroken(rule, text)
}
