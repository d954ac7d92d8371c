// What can come of a case, and the errors by which a case says so.

/** The words of the report; docs/conformance-suite.md says what they mean. */
export type Outcome = 'pass' | 'fail' | 'not applicable' | 'no answer'

/** The broker did something else than the statement says. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch'
}

/** Nothing came within the time limit, and nothing tells whether anything would have. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/** The broker says itself that it does not have what the statement is about. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable'
}

/** @throws Mismatch unless `holds` */
export function check(holds: boolean, text: string): asserts holds {
  if (!holds) throw new Mismatch(text)
}

export function outcomeOf(error: unknown): Outcome {
  if (error instanceof NotApplicable) return 'not applicable'
  return error instanceof NoAnswer ? 'no answer' : 'fail'
}
