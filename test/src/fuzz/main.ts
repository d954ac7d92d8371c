// `npm run fuzz -- [--client|--lite] --seed N --cases N [--from N]`: the fuzzers from the command
// line, with as many cases as one likes; `--cases 0` goes on until something breaks. It is the
// broker that suffers, with `--client` the client, with `--lite` the lite one.

import { parseArgs } from 'node:util'
import { fuzzClient } from './client-fuzzer.ts'
import { FuzzFailure, fuzz } from './fuzzer.ts'

const { values } = parseArgs({
  options: {
    client: { type: 'boolean', default: false },
    lite: { type: 'boolean', default: false },
    seed: { type: 'string' },
    cases: { type: 'string', default: '10000' },
    from: { type: 'string', default: '0' },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
const cases = Number(values.cases)
const from = Number(values.from)

if (![seed, cases, from].every(Number.isSafeInteger)) {
  say('--seed, --cases and --from take whole numbers')
  process.exitCode = 2
} else {
  await run()
}

async function run(): Promise<void> {
  const startedAtMs = performance.now()
  const many = cases === 0 ? 'without end' : `${cases} cases`
  say(`seed ${seed}, ${many}${from === 0 ? '' : ` from ${from}`}`)
  const progress = (done: number): void => {
    if (done % 5000 === 0) say(`${done} cases, ${seconds(startedAtMs)} s`)
  }
  try {
    const options = { seed, cases: cases === 0 ? Number.POSITIVE_INFINITY : cases, from, progress }
    if (values.client || values.lite) {
      say(`reached: ${JSON.stringify(await fuzzClient(options, values.lite))}`)
    } else await fuzz(options)
    say(`nothing found in ${seconds(startedAtMs)} s`)
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error
    say(error.message)
    process.exitCode = 1
  }
}

function seconds(startedAtMs: number): string {
  return ((performance.now() - startedAtMs) / 1000).toFixed(1)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
