// The lines of a mosquitto.conf and of the files it includes, in the order in which Mosquitto reads
// them. What an option means is not known here.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where something stands. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** `name value`, as it stands in a file. */
export interface Statement {
  readonly name: string
  /** All behind the name, without the blanks around it. */
  readonly value: string
  readonly place: Place
  /** Which of the files: what follows a `listener` ends with its file. 0 is the main one. */
  readonly fileIndex: number
}

/** Something that is wrong, and where. */
export interface Problem {
  readonly place: Place
  readonly text: string
}

export interface ReadFiles {
  readonly statements: readonly Statement[]
  readonly problems: readonly Problem[]
  /** The main one first. */
  readonly files: readonly string[]
}

const INCLUDE = 'include_dir'
const EXTENSION = '.conf'

export function showPlace({ file, line }: Place): string {
  return `${file}:${line}`
}

/** @param text of the main file */
export function readStatements(text: string, path: string): ReadFiles {
  const statements: Statement[] = []
  const problems: Problem[] = []
  const files = [path]
  for (const statement of linesOf(text, path, 0)) {
    if (statement.name !== INCLUDE) {
      statements.push(statement)
      continue
    }
    for (const file of includedBy(statement, problems)) {
      files.push(file)
      const included = readIncluded(file, files.length - 1, statement.place, problems)
      statements.push(...included)
    }
  }
  return { statements, problems, files }
}

/** The files of a directory in Mosquitto's order: `A.conf`, `a.conf`, `B.conf`. */
export function inOrder(names: readonly string[]): string[] {
  return [...names].sort((a, b) => {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const [left = '', right = ''] = [a[i], b[i]]
      const difference = codeOf(left.toUpperCase()) - codeOf(right.toUpperCase())
      if (difference !== 0) return difference
      if (left !== right) return codeOf(left) - codeOf(right)
    }
    return a.length - b.length
  })
}

function codeOf(letter: string): number {
  return letter.charCodeAt(0)
}

function includedBy({ value, place }: Statement, problems: Problem[]): string[] {
  if (value === '') {
    problems.push({ place, text: `${INCLUDE}: expected a directory, got nothing` })
    return []
  }
  try {
    const names = readdirSync(value).filter(name => name.endsWith(EXTENSION))
    return inOrder(names.filter(name => name !== EXTENSION)).map(name => join(value, name))
  } catch (error) {
    problems.push({ place, text: `${INCLUDE}: ${(error as Error).message}` })
    return []
  }
}

function readIncluded(
  file: string,
  fileIndex: number,
  includedAt: Place,
  problems: Problem[],
): Statement[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    problems.push({ place: includedAt, text: (error as Error).message })
    return []
  }
  const all = linesOf(text, file, fileIndex)
  for (const { name, place } of all) {
    if (name === INCLUDE) problems.push({ place, text: `${name} is for the main file only` })
  }
  return all.filter(({ name }) => name !== INCLUDE)
}

/** A comment has its # in the first column; before a name there may be spaces. */
function linesOf(text: string, file: string, fileIndex: number): Statement[] {
  return text.split('\n').flatMap((raw, index) => {
    if (raw.startsWith('#')) return []
    const line = raw.replace(/\r+$/, '').replace(/^ +/, '')
    if (line === '') return []
    const end = line.indexOf(' ')
    const name = end < 0 ? line : line.slice(0, end)
    const value = end < 0 ? '' : line.slice(end).replace(/^[ \t]+|[ \t]+$/g, '')
    return [{ name, value, place: { file, line: index + 1 }, fileIndex }]
  })
}
