// npm run mutation: puts each deliberate bug into a copy of the code and looks who catches it, the
// simulation first, then the named tests. Writes docs/mutations.md.

import { spawnSync } from 'node:child_process'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MUTATIONS, type Mutation } from './mutations.ts'
import { Workspace } from './workspace.ts'

const ROOT: string = join(import.meta.dirname, '../../..')
const SEED_COUNT = 40
const TIMEOUT_MS = 300_000

interface Catch {
  readonly by: string
  readonly words: string
}

const workspace = new Workspace()
const rows: string[] = []
let missed = 0
try {
  const clean = simulate()
  if (clean !== null) throw new Error(`the simulation fails without any mutation: ${clean.words}`)
  for (const [index, mutation] of MUTATIONS.entries()) {
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
writeFileSync(join(ROOT, 'docs/mutations.md'), document(rows))
process.exitCode = missed === 0 ? 0 : 1

function judge(mutation: Mutation): Catch | null {
  const takeBack = workspace.apply(mutation)
  try {
    return simulate() ?? testAll(mutation.tests ?? ['packages/broker/dist/core'])
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

function start(args: readonly string[]): {
  status: number | null
  stdout: string
  signal: string | null
} {
  const options = { cwd: workspace.directory, encoding: 'utf8', timeout: TIMEOUT_MS } as const
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
A bug is caught by the first ${SEED_COUNT} seeds of the simulation (\`npm run sim -- SEED\`), or
else by a test. The bugs are in \`test/src/mutation/mutations.ts\`; a test fails when one of them
does not fit the code any more.

| | bug | file | caught by | what it said |
|---|---|---|---|---|
${lines.join('\n')}
`
}
