// The table of deliberate bugs as it stands in docs/mutations.md, row by row, and what a run that
// was interrupted had found.

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { MUTATIONS } from './mutations.ts'

export interface Catch {
  readonly by: string
  readonly words: string
}

export const NOBODY = '**nobody**'
const NOT_RUN: Catch = { by: '**not run**', words: '' }
const ROW = /^\| \d+ \| (.*?) \| `.*?` \| (.*?) \| (.*) \|$/gm

export class Table {
  readonly #found = new Map<string, Catch>()

  /** @param document as it was written before */
  constructor(document: string) {
    for (const [, name, by, words] of document.matchAll(ROW)) {
      if (name !== undefined) this.#found.set(name, { by: by ?? '', words: words ?? '' })
    }
  }

  /** Somebody has caught it. */
  has(name: string): boolean {
    const { by } = this.#found.get(name) ?? NOT_RUN
    return by !== NOBODY && by !== NOT_RUN.by
  }

  set(name: string, found: Catch): void {
    this.#found.set(name, found)
  }

  document(seedCount: number, storeSeedCount: number): string {
    const lines = MUTATIONS.map(({ name, file }, index) => {
      const { by, words } = this.#found.get(name) ?? NOT_RUN
      const place = file.replace('/src/', '/').replace('broker/', '')
      return `| ${index + 1} | ${name} | \`${place}\` | ${by} | ${words} |`
    })
    return `# Mutations

Deliberate bugs, each put into a copy of the code by \`npm run mutation\`, which wrote this table.
A bug is caught by the first ${seedCount} seeds of the simulation (\`npm run sim -- SEED\`), by
the first ${storeSeedCount} of the simulation of the store (\`store.long.test.ts\`), or else by a
test. The bugs are in \`test/src/mutation\`; a test fails when one of them does not fit the code any
more, or is in no row here.

| | bug | file | caught by | what it said |
|---|---|---|---|---|
${lines.join('\n')}
`
  }
}

/** @param rows numbers and ranges with commas: "3,10-12"; '' stands for all */
export function isChosen(rows: string, row: number): boolean {
  if (rows === '') return true
  return rows.split(',').some(part => {
    const [first = '', last = first] = part.split('-')
    return row >= Number(first) && row <= Number(last)
  })
}

/** What an earlier run has written down. */
export function done(path: string | undefined): Map<string, Catch> {
  if (path === undefined || !existsSync(path)) return new Map()
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
  return new Map(lines.map(line => JSON.parse(line) as [string, Catch]))
}

export function remember(path: string | undefined, name: string, found: Catch): void {
  if (path !== undefined) appendFileSync(path, `${JSON.stringify([name, found])}\n`)
}
