// Makes docs/conformance.md from the statement lists, the ids at the lines that enforce them, the
// ids in the names of tests, and the committed results of the conformance suite.
//
//   node scripts/conformance.js            writes the table
//   node scripts/conformance.js --check    fails when the written table is old, or when a statement
//                                          has no test for a side that it concerns
//   node scripts/conformance.js host:port  runs the conformance suite against the broker there
//
// It needs the compiled tests (npm run build): the scanner of the tidy rules is there.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { allSources } from '../test/dist/tidy/files.js'
import { ROOT } from './sources.js'

const TABLE = 'docs/conformance.md'
const EXCEPTIONS = 'test/statements/exceptions.tsv'
const RESULTS = 'test/statements/results.tsv'
const Shown = {
  pass: 'pass',
  fail: '**fail**',
  'no answer': '**no answer**',
  'not applicable': 'n/a',
}
const STATEMENT_ID = /\[(MQTT-[\d.]+-\d+)(?: (v3))?\]/g
/** @type {{ [who in 'C' | 'S' | 'B']: { name: string, sides: ('client' | 'server')[] } }} */
const Who = {
  C: { name: 'client', sides: ['client'] },
  S: { name: 'server', sides: ['server'] },
  B: { name: 'both', sides: ['client', 'server'] },
}
/** Where tests of one side only are; the others, those of the codec among them, count for both. */
const OfClient = ['packages/client/', 'test/src/client/']
const OfServer = ['packages/broker/', 'test/src/broker/', 'test/src/transports/']
const Standards = [
  { title: 'MQTT 5.0', level: 'v5', list: 'test/statements/mqtt-5.0.tsv' },
  { title: 'MQTT 3.1.1', level: 'v3', list: 'test/statements/mqtt-3.1.1.tsv' },
]

/** @typedef {{ enforced: Set<string>, tests: Map<string, Set<string>> }} Evidence */
/** @typedef {{ names: string[], rows: Map<string, string[]> }} Results */
/** @typedef {{ id: string, who: 'C' | 'S' | 'B', text: string }} Statement */

const argv = process.argv.slice(2)
// The suite has options of its own; without any argument of its kind the table is meant.
if (argv.length > 0 && argv[0] !== '--check') {
  const suite = await import('../test/dist/conformance/main.js')
  process.exit(await suite.main(argv))
}
const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const evidence = findEvidence()
const exceptions = readExceptions()
const results = readResults()
const table = `${[head(), peers(), ...Standards.map(section)].join('\n\n')}\n`

if (values.check) process.exitCode = check() ? 0 : 1
else writeFileSync(join(ROOT, TABLE), table)

/** @returns {boolean} */
function check() {
  const missing = Standards.flatMap(({ level, list }) =>
    readStatements(list)
      .filter(({ id }) => !exceptions.has(key(id, level)))
      .flatMap(({ id, who }) =>
        Who[who].sides
          .filter(side => !isTested(id, level, side))
          .map(side => `${key(id, level)} (${side})`),
      ),
  )
  const needless = Standards.flatMap(({ level, list }) =>
    readStatements(list)
      .filter(({ id }) => exceptions.has(key(id, level)))
      .filter(({ id, who }) => Who[who].sides.every(side => isTested(id, level, side)))
      .map(({ id }) => key(id, level)),
  )
  const unknown = [...exceptions.keys()].filter(id => !isStatement(id))
  const isOld = read(TABLE) !== table
  report(`statements without a test (${missing.length})`, missing)
  report(`exceptions in ${EXCEPTIONS} that have a test`, needless)
  report(`exceptions in ${EXCEPTIONS} that are no statement`, unknown)
  if (isOld) console.log(`${TABLE} is old: run "npm run build && node scripts/conformance.js"`)
  return missing.length + needless.length + unknown.length === 0 && !isOld
}

/**
 * @param {string} id
 * @param {string} level
 * @param {'client' | 'server'} side
 * @returns {boolean}
 */
function isTested(id, level, side) {
  const elsewhere = side === 'client' ? OfServer : OfClient
  const paths = [...(evidence.get(key(id, level))?.tests.keys() ?? [])]
  return paths.some(path => !elsewhere.some(folder => path.startsWith(folder)))
}

/**
 * @param {string} what
 * @param {string[]} ids
 */
function report(what, ids) {
  if (ids.length > 0) console.log(`${what}:\n  ${ids.join('\n  ')}`)
}

/**
 * A production comment with an id enforces it; a test whose text names an id tests it.
 * @returns {Map<string, Evidence>} by id and level
 */
function findEvidence() {
  /** @type {Map<string, Evidence>} */
  const found = new Map()
  const sources = allSources().filter(file => !file.path.startsWith('test/src/tidy'))
  for (const file of sources) {
    if (!file.isProduction && !file.isTest) continue
    for (const { text } of file.isTest ? file.scan.strings : file.scan.comments) {
      for (const [, id = '', level = 'v5'] of text.matchAll(STATEMENT_ID)) {
        const entry = found.get(key(id, level)) ?? { enforced: new Set(), tests: new Map() }
        found.set(key(id, level), entry)
        if (file.isProduction) entry.enforced.add(file.path)
        else addTo(entry.tests, file.path, nameOf(text))
      }
    }
  }
  return found
}

/**
 * A test's name without its ids.
 * @param {string} text
 * @returns {string}
 */
function nameOf(text) {
  return text
    .replace(STATEMENT_ID, '')
    .replace(/\\(['"`])/g, '$1')
    .replace(/\s+/g, ' ')
    .trim()
}

/**
 * @param {Map<string, Set<string>>} byFile
 * @param {string} path
 * @param {string} name
 */
function addTo(byFile, path, name) {
  const names = byFile.get(path) ?? new Set()
  byFile.set(path, names.add(name))
}

/** @returns {string} */
function head() {
  const rows = Standards.flatMap(({ title, level, list }) =>
    /** @type {const} */ (['server', 'client']).map(side => {
      const all = readStatements(list).filter(({ who }) => Who[who].sides.includes(side))
      const excepted = all.filter(({ id }) => exceptions.has(key(id, level)))
      const tested = all.filter(({ id }) => isTested(id, level, side))
      return `| ${title} | ${side} | ${all.length} | ${tested.length} | ${excepted.length} |`
    }),
  )
  return `# Conformance

Every normative statement of the standards, where the code enforces it, and the tests that name it.
Made by \`node scripts/conformance.js\` from the ids in the sources: do not edit it.
\`npm run check\` fails when a statement has no test for a side that it concerns.

| | Side | statements | tested | excepted |
|---|---|---:|---:|---:|
${rows.join('\n')}`
}

/** @returns {string} what came of the suite at each broker, in numbers */
function peers() {
  const kinds = Object.keys(Shown)
  const lines = [
    ...Standards.map(({ title, level }) => ({ title, level })),
    { title: 'MQTT 3.1', level: 'v31' },
  ].flatMap(({ title, level }) =>
    results.names.map((name, at) => {
      const all = [...results.rows].filter(([id]) => id.startsWith(`${level} `))
      const counts = kinds.map(kind => all.filter(([, row]) => row[at] === kind).length)
      return `| ${title} | ${name} | ${counts.join(' | ')} |`
    }),
  )
  return `## Over the wire

The conformance suite sends raw bytes to a broker at an address:
\`npm run conformance -- host:port\` ([conformance-suite.md](conformance-suite.md) says how and what
the words mean). By statement it came to this; the tables below have the outcome of each. A broker
that refuses a version of MQTT has *n/a* for all of it.

| Standard | Broker | ${kinds.join(' | ')} |
|---|---|${kinds.map(() => '---:').join('|')}|
${lines.join('\n')}`
}

/**
 * @param {(typeof Standards)[number]} standard
 * @returns {string}
 */
function section({ title, level, list }) {
  const rows = readStatements(list).map(statement => row(statement, level))
  const names = results.names.map(name => name.split(' ')[0])
  return `## ${title}

| Statement | Who | What it says | Enforced in | Tests | ${names.join(' | ')} |
|---|---|---|---|---|${names.map(() => '---').join('|')}|
${rows.join('\n')}`
}

/**
 * @param {Statement} statement
 * @param {string} level
 * @returns {string}
 */
function row({ id, who, text }, level) {
  const entry = evidence.get(key(id, level))
  const enforced = [...(entry?.enforced ?? [])].sort().map(path => `\`${shortened(path)}\``)
  const tests = [...(entry?.tests ?? [])]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, names]) => `\`${shortened(path)}\`: ${[...names].sort().map(plain).join('; ')}`)
  const reason = exceptions.get(key(id, level))
  if (reason !== undefined) tests.push(`*none: ${reason}*`)
  const measured = results.rows.get(`${level} ${id.replace('MQTT-', '')}`) ?? []
  const outcomes = results.names.map((_, at) => {
    return Shown[/** @type {keyof typeof Shown} */ (measured[at])] ?? ''
  })
  const cells = [id, Who[who].name, text, enforced.join('<br>'), tests.join('<br>'), ...outcomes]
  return `| ${cells.map(escaped).join(' | ')} |`
}

/**
 * @param {string} path
 * @returns {string}
 */
function shortened(path) {
  return path.replace(/^packages\//, '').replace('/src/', '/')
}

/**
 * @param {string} name a test's name, in which nothing is meant as Markdown
 * @returns {string}
 */
function plain(name) {
  return name.replace(/[*_<\\`]/g, '\\$&')
}

/**
 * @param {string} cell
 * @returns {string}
 */
function escaped(cell) {
  return cell.replaceAll('|', '\\|')
}

/**
 * @param {string} path
 * @returns {Statement[]}
 */
function readStatements(path) {
  return readRows(path).map(([id = '', who = '', text = '']) => {
    if (who !== 'C' && who !== 'S' && who !== 'B') throw new Error(`${path}: ${id} is for "${who}"`)
    return { id, who, text }
  })
}

/** @returns {Map<string, string>} the reason by id and level */
function readExceptions() {
  return new Map(
    readRows(EXCEPTIONS).map(([id = '', level = '', reason = '']) => {
      if (reason === '') throw new Error(`${EXCEPTIONS}: ${id} has no reason`)
      return [key(id, level), reason]
    }),
  )
}

/** @returns {Results} by standard and id; nothing where nothing was measured */
function readResults() {
  const [head = [], ...all] = readRows(RESULTS)
  /** @type {[string, string[]][]} */
  const rows = all.map(([standard, id, ...outcomes]) => [`${standard} ${id}`, outcomes])
  return { names: head.slice(2), rows: new Map(rows) }
}

/**
 * @param {string} id with its level
 * @returns {boolean}
 */
function isStatement(id) {
  return Standards.some(({ level, list }) =>
    readStatements(list).some(statement => key(statement.id, level) === id),
  )
}

/**
 * @param {string} path
 * @returns {string[][]}
 */
function readRows(path) {
  const lines = read(path).split('\n')
  return lines.filter(line => line !== '' && !line.startsWith('#')).map(line => line.split('\t'))
}

/**
 * @param {string} path
 * @returns {string} '' when there is no such file
 */
function read(path) {
  try {
    return readFileSync(join(ROOT, path), 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return ''
    throw cause
  }
}

/**
 * @param {string} id
 * @param {string} level 'v5' or 'v3'
 * @returns {string} as in the sources
 */
function key(id, level) {
  return level === 'v3' ? `${id} v3` : id
}
