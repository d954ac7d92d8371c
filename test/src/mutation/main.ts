// npm run mutation: puts each deliberate bug into a copy of the code and looks who catches it, the
// simulation first, then that of the store, then the named tests. Writes docs/mutations.md after
// each of them.
//
// npm run mutation -- --only WORDS --rows 32,55-60   a part of them; the other rows stay
// npm run mutation -- --missing                      those that the table does not have
// npm run mutation -- --state FILE                   can be started again: what FILE has is done

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MUTATIONS, type Mutation } from './mutations.ts'
import { type Catch, done, isChosen, NOBODY, remember, Table } from './table.ts'
import { Workspace } from './workspace.ts'

const ROOT: string = join(import.meta.dirname, '../../..')
const SEED_COUNT = 40
const STORE_SIMULATION = 'packages/broker/dist/store/store.long.test.js'
const STORE_SEED_COUNT = 300
const TIMEOUT_MS = 300_000

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rows: { type: 'string', default: '' },
    missing: { type: 'boolean', default: false },
    state: { type: 'string' },
  },
})
const path = join(ROOT, 'docs/mutations.md')
const table = new Table(readFileSync(path, 'utf8'))
const before = done(values.state)
for (const [name, found] of before) table.set(name, found)
const chosen = MUTATIONS.filter(
  (mutation, index) =>
    mutation.name.includes(values.only) &&
    isChosen(values.rows, index + 1) &&
    !(values.missing && table.has(mutation.name)) &&
    !before.has(mutation.name),
)
write()
const workspace = new Workspace()
let missed = 0
try {
  const isSimulated = chosen.some(mutation => mutation.isOutside !== true)
  const clean = isSimulated ? (simulate() ?? simulateStore()) : null
  if (clean !== null) throw new Error(`the simulation fails without any mutation: ${clean.words}`)
  for (const mutation of chosen) {
    const startedMs = performance.now()
    const found = judge(mutation)
    if (found === null) missed++
    table.set(mutation.name, found ?? { by: NOBODY, words: '' })
    if (found !== null) remember(values.state, mutation.name, found)
    write()
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
    const { by, words } = found ?? { by: NOBODY, words: '' }
    process.stdout.write(`${mutation.name}: ${by}: ${words} (${seconds} s)\n`)
  }
} finally {
  workspace.remove()
}
process.stdout.write(`${chosen.length} bugs, ${missed} of them caught by nobody\n`)
process.exitCode = missed === 0 ? 0 : 1

function write(): void {
  writeFileSync(path, table.document(SEED_COUNT, STORE_SEED_COUNT))
}

function judge(mutation: Mutation): Catch | null {
  const takeBack = workspace.apply(mutation)
  try {
    const simulated = mutation.isOutside === true ? null : (simulate() ?? simulateStore())
    return simulated ?? testAll(mutation.tests ?? ['packages/broker/dist/core'])
  } finally {
    takeBack()
  }
}

function simulate(): Catch | null {
  const main = join(workspace.directory, 'test/dist/simulation/main.js')
  const args = [main, '--seeds', String(SEED_COUNT), '--lines', '1']
  const { status, stdout, signal } = start(args)
  if (signal !== null) return { by: 'simulation', words: 'a run does not end' }
  if (status === 0) return null
  const line = /^seed (\d+) at commit \w+: (.*)$/m.exec(stdout)
  return { by: `simulation, seed ${line?.[1] ?? '?'}`, words: cell(line?.[2] ?? 'it breaks') }
}

function simulateStore(): Catch | null {
  const { status, stdout, signal } = start(
    ['--test-reporter=tap', join(workspace.directory, STORE_SIMULATION)],
    { GODWIT_SEEDS: String(STORE_SEED_COUNT) },
  )
  if (signal !== null) return { by: 'simulation of the store', words: 'a run does not end' }
  if (status === 0) return null
  const line = /seed (\d+): (.*?)'?$/m.exec(stdout)
  const words = cell(line?.[2] ?? 'it breaks')
  return { by: `simulation of the store, seed ${line?.[1] ?? '?'}`, words }
}

function testAll(paths: readonly string[]): Catch | null {
  const files = paths.flatMap(path => testsBelow(join(workspace.directory, path)))
  const { status, stdout } = start(['--test', '--test-reporter=tap', ...files])
  if (status === 0) return null
  const names = [...stdout.matchAll(/^ *not ok \d+ - (.*)$/gm)]
  const name = names.map(match => match[1] ?? '').find(text => !text.includes('/dist/'))
  return { by: 'test', words: cell(name ?? 'a test fails') }
}

function testsBelow(path: string): string[] {
  if (statSync(path).isFile()) return [path]
  return readdirSync(path, { recursive: true })
    .map(String)
    .filter(name => name.endsWith('.test.js') && !name.endsWith('.long.test.js'))
    .map(name => join(path, name))
}

function start(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): {
  status: number | null
  stdout: string
  signal: string | null
} {
  const env = { ...process.env, ...environment }
  const options = { cwd: workspace.directory, encoding: 'utf8', timeout: TIMEOUT_MS, env } as const
  const { status, stdout, signal } = spawnSync(process.execPath, args, {
    ...options,
    maxBuffer: 1 << 28,
  })
  return { status, stdout, signal }
}

/** Short enough for a table, and the same whatever the line ends with. */
function cell(text: string): string {
  const short = text.length > 110 ? `${text.slice(0, 107)}...` : text
  return short.replaceAll('|', '\\|')
}
