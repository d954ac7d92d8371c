// Makes a compiled module shorter before esbuild sees it, where esbuild itself does not: numbers in
// place of the tables and constants that have them, and no fields that the constructor sets anyway.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from './sources.js'

/** A field without a value. */
const FIELD = /^ {4}\w+;\n/gm
/** Members of a table as constants. */
const PICKED = /^const \{ (.*) \} = (\w+);$/gm
const CONSTANT = /^(?:export )?const ([A-Z][A-Z\d_]*) = (.+);$/gm
const CONSTANT_NAME = /\b[A-Z][A-Z\d_]*\b/g
const ARITHMETIC = /^[\d\s_xa-f.|&~<>+*()-]+$/
/** A property, as far as esbuild knows, which it must therefore read. */
const INFINITE = 'Number.POSITIVE_INFINITY'
/** Where a name is no use of a constant: comments, texts, imports, and where it is declared. */
const SKIPPED =
  /\/\*[\s\S]*?\*\/|\/\/.*|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|^import \{[^}]*\}|\bconst \w+/

/** @typedef {ReadonlyMap<string, ReadonlyMap<string, number>>} Tables by name and name of member */
/** @typedef {{ tables: Tables, constants: ReadonlyMap<string, number> }} Numbers */

/**
 * @param {readonly string[]} paths of compiled modules
 * @returns {Promise<Numbers>} their exported numbers, and tables in which are only numbers
 */
export async function numbersOf(paths) {
  /** @type {Map<string, ReadonlyMap<string, number>>} */
  const tables = new Map()
  /** @type {Map<string, number>} */
  const constants = new Map()
  for (const path of paths) {
    /** @type {Record<string, unknown>} */
    const module = await import(pathToFileURL(join(ROOT, path)).href)
    for (const [name, value] of Object.entries(module)) {
      if (typeof value === 'number') constants.set(name, value)
      else if (isTable(value)) tables.set(name, new Map(Object.entries(value)))
    }
  }
  return { tables, constants }
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, number>}
 */
function isTable(value) {
  if (typeof value !== 'object' || value === null) return false
  const members = Object.values(value)
  return members.length > 0 && members.every(member => typeof member === 'number')
}

/**
 * @param {string} text of a module
 * @param {Numbers} numbers what it may import
 * @returns {string}
 */
export function compact(text, { tables, constants }) {
  const member = new RegExp(`(?<![.\\w])(${[...tables.keys()].join('|')})\\.(\\w+)`, 'g')
  const plain = text
    .replace(FIELD, '')
    .replaceAll(INFINITE, '(1/0)')
    .replace(PICKED, (all, picked, table) => {
      const values = tables.get(table)
      if (values === undefined) return all
      const lines = String(picked).split(', ')
      return lines.map(name => `const ${name} = ${values.get(name)};`).join('\n')
    })
    .replace(member, (all, table, name) => String(tables.get(table)?.get(name) ?? all))
  return withNumbers(plain, constants)
}

/**
 * @param {string} text
 * @param {ReadonlyMap<string, number>} imported
 * @returns {string} constants in place, also in the module that declares them
 */
function withNumbers(text, imported) {
  /** @type {Map<string, string>} */
  const values = new Map()
  for (const [, names = ''] of text.matchAll(/^import \{([^}]*)\}/gm)) {
    for (const name of names.match(CONSTANT_NAME) ?? []) {
      const value = imported.get(name)
      if (value !== undefined) values.set(name, String(value))
    }
  }
  for (const [, name = '', value = ''] of text.matchAll(CONSTANT)) {
    const sum = value.replace(CONSTANT_NAME, each => values.get(each) ?? each)
    if (sum === '(1/0)') values.set(name, sum)
    else if (ARITHMETIC.test(sum)) values.set(name, String(Function(`return ${sum}`)()))
  }
  if (values.size === 0) return text
  const names = [...values.keys()].join('|')
  const isKey = '(?<!\\bcase \\w+):'
  const used = new RegExp(`${SKIPPED.source}|(?<![.\\w])(${names})(?!\\w|${isKey})`, 'gm')
  return text.replace(used, (all, name) => values.get(name) ?? all)
}
