// The rules that no source may break, as one table: a broken rule fails the test that names it, and
// the failure says file and line. Numbers are those of the list "Never" in ARCHITECTURE.md.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { allSources, filesBelow, ROOT } from './tidy/files.ts'
import * as habits from './tidy/habits.ts'
import * as layers from './tidy/layers.ts'

const TEXT_FILE = /\.(?:ts|js|mjs|json|md|tsv|yaml|yml|sh|html|css|service)$|^\.ci\/run$/

const Rules: readonly (readonly [string, layers.Rule])[] = [
  ['1 packet imports nothing outside itself', layers.packetImportsNothing],
  ['2 client touches the outside in transports/ and stores/ only', layers.clientStaysInside],
  ['3 broker imports neither client nor cli', layers.brokerStaysBelow],
  ['4 core imports core and packet only', layers.coreImportsCoreOnly],
  ['5 core, session and link have no clock, chance, I/O or promise', layers.coreIsPure],
  ['6 shells import one another never, and of the core its ports', layers.shellsMeetInServer],
  ['7 a third-party package is imported in one file of a package', layers.thirdPartyOnce],
  ['8 across packages, imports go by package name', layers.packagesByName],
  ['8 inside a package nobody imports or imitates index.ts', layers.noIndexInside],
  ['8 imports have no cycles', layers.noImportCycles],
  ['9 production code imports nothing from tests', layers.noTestsInProduction],
  ['10 what a peer can fill has a limit that is kept and tested', habits.limitsAreKept],
  ['a file has at most 600 lines, a test file 800', habits.filesAreShort],
  ['a function has at most 70 lines', habits.functionsAreShort],
  ['a line has at most 100 columns', habits.linesAreShort],
  ['a file begins with a comment that says what it is', habits.filesHaveHeaders],
  ['a note to do something later has a date', habits.notesAreDated],
  ['every test runs, or says why not through the helper', habits.everyTestRuns],
  ['tests do not sleep', habits.testsDoNotSleep],
  ['properties are tried from a seed', habits.chanceHasSeeds],
  ['types are neither any nor silenced', habits.typesAreHonest],
  ['"!" is for the byte readers and hot files', habits.assertionsAreHot(filesWithAssertions())],
  ['statement ids are those of the standard', habits.statementsExist(statementIds())],
]

const sources = allSources()

for (const [name, rule] of Rules) {
  test(name, () => assertNone(rule(sources)))
}

test('1 packet is compiled without the types of Node and of browsers', () => {
  for (const path of ['tsconfig.base.json', 'packages/packet/tsconfig.json']) {
    const { compilerOptions = {} } = readJson(path)
    const { lib = ['es2023'], types = [] } = compilerOptions
    assert.deepEqual({ lib, types }, { lib: ['es2023'], types: [] }, path)
  }
})

test('no tracked file names a path of a machine or the host of a registry', () => {
  const paths = trackedFiles().filter(path => TEXT_FILE.test(path) && existsSync(join(ROOT, path)))
  assert.ok(paths.length > 0)
  assertNone(paths.flatMap(path => habits.namesNoMachine(path, read(path))))
})

test('the lock file names no host to load packages from', () => {
  assertNone(
    read('package-lock.json')
      .split('\n')
      .flatMap((line, index) =>
        /"resolved": "https?:/.test(line) ? [`package-lock.json:${index + 1}: ${line.trim()}`] : [],
      ),
  )
})

function assertNone(violations: readonly string[]): void {
  assert.equal(violations.length, 0, `\n${violations.join('\n')}\n`)
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function readJson(path: string): { compilerOptions?: { lib?: string[]; types?: string[] } } {
  return JSON.parse(read(path))
}

/** What git tracks, or every file where there is no git (an unpacked archive). */
function trackedFiles(): string[] {
  if (!existsSync(join(ROOT, '.git'))) return filesBelow('')
  // The clone may be another user's, which git asks to be told.
  const args = ['-c', 'safe.directory=*', 'ls-files', '-z']
  const listed = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' })
  return listed.split('\0').filter(path => path !== '')
}

function statementIds(): Set<string> {
  const ids = (path: string, suffix: string): string[] =>
    [...read(path).matchAll(/^(MQTT-\S+)\t/gm)].map(match => `${match[1]}${suffix}`)
  return new Set([
    ...ids('test/statements/mqtt-5.0.tsv', ''),
    ...ids('test/statements/mqtt-3.1.1.tsv', ' v3'),
  ])
}

/** The files for which biome.json allows `!`. */
function filesWithAssertions(): string[] {
  interface Override {
    includes: string[]
    linter: { rules: { style?: { noNonNullAssertion?: string } } }
  }
  const { overrides }: { overrides: Override[] } = JSON.parse(read('biome.json'))
  return overrides
    .filter(({ linter }) => linter.rules.style?.noNonNullAssertion === 'off')
    .flatMap(({ includes }) => includes)
}
