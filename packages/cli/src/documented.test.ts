// Each command line of the guides, of the README files and of the help texts is read as if it had
// been typed: an option that is renamed or never was fails here.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type BenchCommand, parseFlags } from './bench/flags.ts'
import { loadSettings, manySettings, pingSettings } from './bench/options.ts'
import { parseConfig } from './config-file.ts'
import { CONFIG_FIELDS } from './config-schema.ts'
import { BRIDGE_OPTIONS, MosquittoOptions } from './mosquitto/options.ts'
import { parseClientWords } from './options/parse.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const BIN = join(ROOT, 'packages/cli/bin/godwit.js')
const Readers = { ping: pingSettings, load: loadSettings, many: manySettings } as const
const CLIENTS = ['pub', 'sub', 'rr', 'check'] as const
const PROGRAMS = ['serve', 'passwd', 'ticktock', 'completion', 'export', 'import']
const BENCHES = ['ping', 'load', 'many', 'compare', 'report', 'compare-brokers'] as const

const folder = mkdtempSync(join(tmpdir(), 'godwit-documented-'))
// Reading where a report goes tries to write there.
before(() => process.chdir(folder))
after(() => {
  process.chdir(ROOT)
  rmSync(folder, { recursive: true, force: true })
})

test('the guide of moving has each option of mosquitto.conf', () => {
  const guide = readFileSync(join(ROOT, 'docs/moving.md'), 'utf8')
  const names = [...MosquittoOptions.keys()].filter(name => !BRIDGE_OPTIONS.includes(name))
  assert.ok(names.length > 60)
  const missing = names.filter(name => !new RegExp(`\\b${name}\\b`).test(guide))
  assert.deepEqual(missing, [])
})

/** What a shell makes of the words behind `godwit`, up to the next command. */
function wordsOf(text: string): string[] {
  const words: string[] = []
  const pattern = /\s*(?:'([^']*)'|"([^"]*)"|(#.*)|([|<>;)&])|([^\s'"|<>;)&]+))/y
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [whole, single, double, comment, end, plain] = match
    if (comment !== undefined || end !== undefined) break
    const word = single ?? double ?? plain ?? ''
    const isGlued = !/^\s/.test(whole) && words.length > 0
    if (isGlued) words.push(`${words.pop()}${word}`)
    else words.push(word)
  }
  return words
}

/** The words of each command of a text. */
function commandsIn(text: string): string[][] {
  const joined = text.replaceAll(/\\\n\s*/g, ' ')
  return [...joined.matchAll(/(?<=^\s*|npx |\| |\$\()godwit (.+)$/gm)]
    .map(([, rest = '']) => wordsOf(rest))
    .filter(words => words.length > 0 && !words.includes('COMMAND'))
}

function commandsInGuide(path: string): string[][] {
  const text = readFileSync(path, 'utf8')
  const blocks = [...text.matchAll(/^```(?:sh|bash|console)?\n([\s\S]*?)^```/gm)].map(
    found => found[1],
  )
  const spans = [...text.matchAll(/`(godwit [a-z]+ [^`…]+)`/g)].map(([, span = '']) => span)
  return [...blocks, ...spans].flatMap(part => commandsIn(part ?? ''))
}

const helps = new Map<string, string>()
function helpOf(...command: string[]): string {
  const name = command.join(' ')
  const known = helps.get(name)
  if (known !== undefined) return known
  const text = execFileSync(process.execPath, [BIN, ...command, '--help'], { encoding: 'utf8' })
  helps.set(name, text)
  return text
}

/** @throws CommandFailure, or an AssertionError, when the command would not be taken */
function read([command = '', ...words]: readonly string[]): void {
  const client = CLIENTS.find(one => one === command)
  if (client !== undefined || command === 'replay') {
    const typed = command === 'replay' ? ['--replay', ...words] : words
    parseClientWords(client ?? 'pub', typed, { environment: {}, pid: 1 })
  } else if (command === 'bench') {
    const [bench = '', ...rest] = words
    if (words.length === 0 || bench.startsWith('-')) return
    assert.ok(
      BENCHES.some(one => one === bench),
      `bench has no ${bench}`,
    )
    const parsed = parseFlags(bench as BenchCommand, rest)
    if (parsed.values['help'] === true) return
    if (bench in Readers) Readers[bench as keyof typeof Readers](parsed, '')
  } else if (command !== '--help' && command !== '--version') {
    assert.ok(PROGRAMS.includes(command), `there is no godwit ${command}`)
    const help = helpOf(command)
    for (const word of words) {
      const [name = ''] = word.split('=')
      if (!/^--?[a-z]/.test(name) || name === '--help' || /^-[a-z]{2,}$/.test(name)) continue
      assert.match(help, new RegExp(`${name}(?![\\w-])`), `godwit ${command} has no ${name}`)
    }
  }
}

function assertRead(commands: readonly string[][], where: string): void {
  for (const words of commands) {
    try {
      read(words)
    } catch (error) {
      assert.fail(`${where}: godwit ${words.join(' ')}: ${(error as Error).message}`)
    }
  }
}

const guides = [
  ...readdirSync(join(ROOT, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
  'README.md',
  'packages/cli/README.md',
]

test('the command lines of the guides are taken as they are written', () => {
  const found = guides.map(path => ({ path, commands: commandsInGuide(join(ROOT, path)) }))
  for (const { path, commands } of found) assertRead(commands, path)
  const counts = new Map(found.map(({ path, commands }) => [path, commands.length]))
  // What is read is what is there: a change of the form of the guides must not empty this test.
  assert.ok((counts.get('docs/cli.md') ?? 0) >= 12, `${counts.get('docs/cli.md')}`)
  assert.ok((counts.get('docs/benchmarking.md') ?? 0) >= 8, `${counts.get('docs/benchmarking.md')}`)
  assert.ok((counts.get('packages/cli/README.md') ?? 0) >= 5)
})

test('configurations of the guides are taken as they are written, one has every field', () => {
  let whole = ''
  for (const path of guides) {
    const text = readFileSync(join(ROOT, path), 'utf8')
    for (const [, block = ''] of text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)) {
      parseConfig(block, path)
      if (path === 'docs/broker.md') whole += block
    }
  }
  const missing = CONFIG_FIELDS.filter(name => !new RegExp(`^${name}:`, 'm').test(whole))
  assert.deepEqual(missing, [])
})

test('the examples of every help text are taken as they are written', () => {
  const all = [
    ...[...CLIENTS, ...PROGRAMS, 'replay'].map(name => [name]),
    ...BENCHES.map(name => ['bench', name]),
  ]
  for (const command of all) {
    const [, examples = ''] = helpOf(...command).split('Examples:')
    const commands = commandsIn(examples.replaceAll(/^( {2}.*?\S) {2,}.*$/gm, '$1'))
    assert.ok(commands.length > 0, `godwit ${command.join(' ')} --help has no examples`)
    assertRead(commands, `godwit ${command.join(' ')} --help`)
  }
})

test('a command line that is wrong would be found', () => {
  for (const line of [
    'godwit sub -t a --no-such-option',
    'godwit bench load --rats 5/s',
    'godwit bench load --rate five',
    'godwit serve --prt 1883',
    'godwit serv --port 1883',
    "cat x | godwit pub -q 3 -t 'a b' -l",
  ]) {
    const commands = commandsIn(line)
    assert.equal(commands.length, 1, line)
    assert.throws(() => assertRead(commands, 'here'), line)
  }
  assert.deepEqual(commandsIn("godwit pub -t 'a b' -m \"c\" x'y'z | cat # not this"), [
    ['pub', '-t', 'a b', '-m', 'c', 'xyz'],
  ])
})
