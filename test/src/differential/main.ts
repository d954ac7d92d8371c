// `npm run differential -- [--peer NAME] [--from N] [--seeds N]`: scripts from seeds at Godwit and
// another broker, with as many seeds as one likes. Every difference is printed, and how many.

import { parseArgs } from 'node:util'
import { PAIRS } from './pairs.ts'
import { run } from './run.ts'

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '100' },
    peer: { type: 'string', default: 'mosquitto' },
  },
})
const from = Number(values.from)
const count = Number(values.seeds)
const pair = PAIRS.find(({ name }) => name === values.peer)

if (pair === undefined || ![from, count].every(Number.isSafeInteger)) {
  const names = PAIRS.map(({ name }) => name).join(', ')
  say(`--from and --seeds take whole numbers, --peer one of ${names}`)
  process.exitCode = 2
} else if (pair.missing !== undefined) {
  say(`missing: ${pair.missing}`)
  process.exitCode = 2
} else {
  let differences = 0
  const found = (text: string): void => {
    differences++
    say(text)
  }
  await run(pair, { from, count, found })
  say(`seeds ${from} to ${from + count - 1}: ${differences} differences`)
  process.exitCode = differences === 0 ? 0 : 1
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
