// npm run mutation: puts each deliberate bug into a copy of the code and looks who catches it, the
// simulation first, then that of the store, then the named tests. Writes docs/mutations.md.
// npm run mutation -- --only WORDS --from 40: a part of them; writes nothing.

import { spawnSync } from 'node:child_process'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MUTATIONS, type Mutation } from './mutations.ts'
import { Workspace } from './workspace.ts'

const ROOT: string = join(import.meta.dirname, '../../..')
const SEED_COUNT = 40
const STORE_SIMULATION = 'packages/broker/dist/store/store.long.test.js'
const STORE_SEED_COUNT = 300
const TIMEOUT_MS = 300_000

interface Catch {
  readonly by: string
  readonly words: string
}

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, from: { type: 'string', default: '1' } },
})
const isWhole: boolean = values.only === '' && values.from === '1'
const workspace = new Workspace()
const rows: string[] = []
let missed = 0
try {
  const clean = simulate() ?? simulateStore()
  if (clean !== null) throw new Error(`the simulation fails without any mutation: ${clean.words}`)
  for (const [index, mutation] of MUTATIONS.entries()) {
    if (!mutation.name.includes(values.only) || index + 1 < Number(values.from)) continue
    const found = judge(mutation)
    if (found === null) missed++
    const { by, words } = found ?? { by: '**nobody**', words: '' }
    process.stdout.write(`${index + 1} ${mutation.name}: ${by}: ${words}\n`)
    const file = mutation.file.replace('/src/', '/').replace('broker/', '')
    rows.push(`| ${index + 1} | ${mutation.name} | \`${file}\` | ${by} | ${words} |`)
  }
} finally {
  workspace.remove()
}
if (isWhole) writeFileSync(join(ROOT, 'docs/mutations.md'), document(rows))
process.exitCode = missed === 0 ? 0 : 1

function judge(mutation: Mutation): Catch | null {
  const takeBack = workspace.apply(mutation)
  try {
    return simulate() ?? simulateStore() ?? testAll(mutation.tests ?? ['packages/broker/dist/core'])
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

function document(lines: readonly string[]): string {
  return `# Mutations

Deliberate bugs, each put into a copy of the code by \`npm run mutation\`, which wrote this table.
A bug is caught by the first ${SEED_COUNT} seeds of the simulation (\`npm run sim -- SEED\`), by
the first ${STORE_SEED_COUNT} of the simulation of the store (\`store.long.test.ts\`), or else by a
test. The bugs are in \`test/src/mutation/mutations.ts\`; a test fails when one of them does not fit
the code any more.

| | bug | file | caught by | what it said |
|---|---|---|---|---|
${lines.join('\n')}
`
}
