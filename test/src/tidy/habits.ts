// The rules on how a file is written: sizes, headers, forbidden words, limits, statement ids.

import { lineAt, type SourceFile } from './files.ts'
import {
  coreFiles,
  eachImport,
  eachMatch,
  production,
  type Rule,
  type Violation,
} from './layers.ts'
import { functionsIn, type Piece } from './scanner.ts'

const FILE_LINES_MAX = 600
const TEST_FILE_LINES_MAX = 800
const FUNCTION_LINES_MAX = 70
const LINE_COLUMNS_MAX = 100
const LIMITS_PATH = 'packages/broker/src/core/limits.ts'
// Helpers of tests: there, and only there, tests may wait for time and leave a test out.
const SUPPORT = /^(?:test\/src\/support\/|packages\/[^/]+\/src\/testing\/)/
const STATEMENT_ID = /\[(MQTT-[\d.]+-\d+)( v3)?\]/g

export const filesAreShort: Rule = files =>
  files.flatMap(file => {
    if (file.path.includes('/testing/vectors')) return []
    const max = file.isTest ? TEST_FILE_LINES_MAX : FILE_LINES_MAX
    const lines = file.text.trimEnd().split('\n').length
    return lines > max ? [`${file.path}:${max + 1}: ${lines} lines, at most ${max}`] : []
  })

export const functionsAreShort: Rule = files =>
  files.flatMap(file =>
    functionsIn(file.scan.code)
      .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
      .map(
        ({ line, lines }) =>
          `${file.path}:${line}: a function of ${lines} lines, at most ${FUNCTION_LINES_MAX}`,
      ),
  )

export const linesAreShort: Rule = files =>
  files.flatMap(file =>
    file.text.split('\n').flatMap((line, index) => {
      if (line.length <= LINE_COLUMNS_MAX || /https?:\/\/\S+/.test(line)) return []
      // The name of a test is one sentence with all its statement ids.
      if (file.path.endsWith('.test.ts') && line.includes('[MQTT-')) return []
      return [`${file.path}:${index + 1}: ${line.length} columns, at most ${LINE_COLUMNS_MAX}`]
    }),
  )

export const filesHaveHeaders: Rule = files =>
  files.flatMap(file => {
    const lines = file.text.split('\n').filter(line => !line.startsWith('#!'))
    const first = /^\/\/ hot\b/.test(lines[0] ?? '') ? lines[1] : lines[0]
    const begins = /^\/[/*]+ ?\S/.test(first ?? '')
    return begins ? [] : [`${file.path}:1: no comment says what the file is`]
  })

/** What is to be done later says by when. */
export const notesAreDated: Rule = files =>
  eachPiece(
    files,
    file => file.scan.comments,
    text =>
      /\b(?:TODO|FIXME|XXX)\b/.test(text) && !/\b\d{4}-\d{2}-\d{2}\b/.test(text)
        ? 'a note without a date'
        : undefined,
  )

export const everyTestRuns: Rule = files => {
  const outside = files.filter(file => !SUPPORT.test(file.path))
  return [
    ...eachMatch(files, /\.only\s*\(|\bonly\s*:\s*true\b/g, () => 'only one test would run'),
    ...eachMatch(
      outside,
      /\.(?:skip|todo)\s*\(|\b(?:skip|todo)\s*:/g,
      () => 'a test is left out without the helper that prints why',
    ),
  ]
}

export const testsDoNotSleep: Rule = files => {
  const tests = files.filter(file => file.isTest && !SUPPORT.test(file.path))
  return [
    ...eachMatch(
      tests,
      /(?<![\w$.#])(?:setTimeout|setInterval|sleep)\s*\(/g,
      name => `uses ${name}`,
    ),
    ...eachImport(tests, ({ specifier }) =>
      specifier.endsWith('timers/promises') ? `imports ${specifier}` : undefined,
    ),
  ]
}

/** A property that fails does so again: its random values come from a seed that is set. */
export const chanceHasSeeds: Rule = files =>
  files
    .filter(({ path, text }) => path.endsWith('.test.ts') && /from 'fast-check'/.test(text))
    .filter(({ text }) => !/\bconfigureGlobal\(\{ seed: /.test(text))
    .map(({ path }) => `${path}:1: uses fast-check without configureGlobal({ seed: … })`)

export const typesAreHonest: Rule = files => {
  const any = /\bas any\b|:\s*any\b(?!\s*\()|<any\b|\bany\[\]|,\s*any>/g
  return [
    ...eachMatch(
      files.filter(file => file.path.endsWith('.ts')),
      any,
      () => 'any',
    ),
    ...eachPiece(
      files,
      file => file.scan.comments,
      (text, file) => {
        const banned = file.isTest ? /@ts-(?:ignore|nocheck)/ : /@ts-(?:ignore|nocheck|expect)/
        return banned.exec(text)?.[0]
      },
    ),
  ]
}

/** Files that may use `!` (a list in biome.json) are byte readers or begin with `// hot`. */
export function assertionsAreHot(allowed: readonly string[]): Rule {
  const patterns = allowed.map(
    glob => new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`),
  )
  return files =>
    files
      .filter(file => patterns.some(pattern => pattern.test(file.path)))
      .filter(file => !file.text.startsWith('// hot'))
      .map(file => `${file.path}:1: may use "!" and does not begin with "// hot"`)
}

/** Each limit is read by the broker and named by a test; no other file of core bounds anything. */
export const limitsAreKept: Rule = files => {
  const limits = files.find(file => file.path === LIMITS_PATH)
  if (limits === undefined) return [`${LIMITS_PATH}:1: there is no file of limits`]
  const readers = production(files, 'broker').filter(file => file !== limits)
  const tests = files.filter(file => file.isTest)
  const names = [...limits.scan.code.matchAll(/\breadonly (\w+)\??:/g)]
  return [
    ...names.flatMap(match => {
      const [, name = ''] = match
      const word = new RegExp(`\\b${name}\\b`)
      const place = `${LIMITS_PATH}:${lineAt(limits.text, match.index)}`
      if (!readers.some(file => word.test(file.scan.code)))
        return [`${place}: nobody keeps ${name}`]
      return tests.some(file => word.test(file.text)) ? [] : [`${place}: no test names ${name}`]
    }),
    ...eachMatch(
      coreFiles(files).filter(file => file !== limits),
      /\bconst \w+_MAX(?:IMUM)?\b[^=]*= *\d/g,
      match => `${match.split(/[ :=]/)[1]} belongs to limits.ts`,
    ),
  ]
}

/** Every id in a comment or a test's name is in the standard, and is written as we write it. */
export function statementsExist(known: ReadonlySet<string>): Rule {
  return files =>
    eachPiece(
      files.filter(file => !file.path.startsWith('test/src/tidy')),
      file => [...file.scan.comments, ...file.scan.strings],
      text => {
        const wrong = [...text.matchAll(STATEMENT_ID)]
          .map(match => `${match[1]}${match[2] ?? ''}`)
          .find(id => !known.has(id))
        if (wrong !== undefined) return `the standard has no statement ${wrong}`
        const loose = /(?<!\[)\bMQTT-\d+\.[\d.-]+\d|\[MQTT-(?![\d.]+-\d+(?: v3)?\])\d/.exec(text)
        return loose === null ? undefined : 'a statement id is written [MQTT-1.5.3-1] or with v3'
      },
    )
}

/** Neither a path of somebody's machine nor the host of a registry is in the repository. */
export function namesNoMachine(path: string, text: string): Violation[] {
  const machine = /(?:^|[\s"'`(=:])\/(?:work|root|home|Users)\/\w+/
  const host = /\b(?:registry|npm|deb|security|archive)\.[a-z]+(?:js)?\.(?:org|com|net)\b/
  return text.split('\n').flatMap((line, index) => {
    const found = machine.exec(line)?.[0] ?? host.exec(line)?.[0]
    return found === undefined ? [] : [`${path}:${index + 1}: names ${found.trim()}`]
  })
}

function eachPiece(
  files: readonly SourceFile[],
  pieces: (file: SourceFile) => readonly Piece[],
  judge: (text: string, file: SourceFile) => string | undefined,
): Violation[] {
  return files.flatMap(file =>
    pieces(file).flatMap(({ line, text }) => {
      const wrong = judge(text, file)
      return wrong === undefined ? [] : [`${file.path}:${line}: ${wrong}`]
    }),
  )
}
