// A report on a terminal: the words that somebody looks for have their colours. In a pipe, or with
// NO_COLOR, it is as it was.

import { paint } from '../output/paint.ts'

const BAD = /\b(?:FAIL|WORSE|BROKEN|SATURATED|NOT sent)\b/g
const GOOD = /\b(?:PASS|better|contract: met(?!,)|not the bottleneck|every session is alive)(?!\w)/g

export function painted(lines: readonly string[]): string {
  return lines
    .join('\n')
    .replace(BAD, word => paint.red(word))
    .replace(GOOD, word => paint.green(word))
}
