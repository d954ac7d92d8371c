// The scanner tells code from text in the places where that is hard.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { functionsIn, scan } from './scanner.ts'

/** The code with runs of blanks as one, so that a test can be read. */
function codeOf(source: string): string {
  return scan(source).code.replace(/ +/g, ' ')
}

test('strings and comments are blanked, and everything keeps its place', () => {
  const source = "a('it\\'s // no') // why\nb /* {\n */ (\"{\")"
  const { code, comments, strings } = scan(source)
  assert.equal(code.length, source.length)
  assert.equal(code.split('\n').length, 3)
  assert.equal(codeOf(source), 'a(\' \') \nb \n (" ")')
  assert.deepEqual(comments, [
    { line: 1, text: '// why' },
    { line: 2, text: '/* {\n */' },
  ])
  assert.deepEqual(strings, [
    { line: 1, text: "it\\'s // no" },
    { line: 3, text: '{' },
  ])
})

test('a template is text, and what it embeds is code, to any depth', () => {
  assert.equal(codeOf('`a ${b({ c: `d ${e} }` })} f` + g'), '` ${b({ c: ` ${e} ` })} ` + g')
})

test('a slash begins a regular expression where a value may stand, and divides elsewhere', () => {
  assert.equal(codeOf("x = /'[/]'/g.test(y)"), 'x = g.test(y)')
  assert.equal(codeOf("return /'/"), 'return ')
  assert.equal(codeOf("a / b / c('d')"), "a / b / c(' ')")
})

test('a line with a number sign and a bang is a comment', () => {
  assert.deepEqual(scan('#!/usr/bin/env node\na()').comments, [
    { line: 1, text: '#!/usr/bin/env node' },
  ])
})

test('functions of every form are found with their lines', () => {
  const source = `function a(
  b: { c: number },
): Map<string, number> {
  if (b) {
    return new Map()
  }
}
const d = async (e: string): Promise<{ f: number }> => {
  for (const g of e) {
    h(g)
  }
}
class I {
  constructor() {
    j()
  }
  get #k(): { l: number } {
    return { l: 1 }
  }
  async *[Symbol.iterator]() {
    switch (this) {
    }
  }
}
function r(): void {
}
class S {

}
const m = { n() {
  }, o: p(), q: {
  },
}`
  const found = functionsIn(scan(source).code).map(({ line, lines }) => [line, lines])
  const long = found.filter(([, lines]) => lines !== 1)
  assert.deepEqual(long, [
    [1, 7],
    [8, 5],
    [14, 3],
    [17, 3],
    [20, 4],
    [25, 2],
    [30, 2],
  ])
})

test('a callback of describe is no function, one of test is', () => {
  const source = "describe('a', () => {\n  test('b', () => {\n  })\n})"
  assert.deepEqual(functionsIn(scan(source).code), [{ line: 2, lines: 2 }])
})
