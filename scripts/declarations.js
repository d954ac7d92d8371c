// Reads compiled declarations: what a package makes public, without what is private or internal.
import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { ROOT } from './sources.js'

const DECLARATION =
  /^(export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const) (\w+)/m
const INTERNAL =
  /^ {4}\/\*\*(?:(?!\*\/)[\s\S])*?@internal[\s\S]*?\*\/\n(?: {4}\S.*\n(?: {8}.*\n)*)/gm
const PRIVATE = /^(?: {4}\/\*\*(?:(?!\*\/)[\s\S])*?\*\/\n)? {4}private .*\n/gm

/**
 * @param {string} path of an entry's declarations
 * @returns {{ name: string, text: string }[]} the declaration of each name that it exports
 */
export function exportsOf(path) {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return [...text.matchAll(/^export (?:type )?(\*|\{[^}]*\}) from '(\.[^']+)';$/gm)].flatMap(
    ([, what = '', from = '']) => {
      const target = posix.join(posix.dirname(path), from.replace(/\.[jt]s$/, '.d.ts'))
      const all = declarationsOf(target)
      if (what === '*') return all
      const names = what
        .slice(1, -1)
        .split(',')
        .map(part => part.trim().replace(/^type /, ''))
        .filter(part => part !== '')
      return names.map(exported => {
        const found = all.find(({ name }) => name === exported)
        if (found === undefined) throw new Error(`${target} does not declare ${exported}`)
        return found
      })
    },
  )
}

/**
 * @param {string} path of an entry's declarations
 * @returns {string[]} declarations that are not exported but stand behind those that are: nobody
 *   can name them, and everybody sees their fields
 */
export function hiddenBehind(path) {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const modules = [...text.matchAll(/ from '(\.[^']+)';$/gm)].map(([, from = '']) => from)
  const hidden = [...new Set(modules)].flatMap(from => {
    const target = posix.join(posix.dirname(path), from.replace(/\.[jt]s$/, '.d.ts'))
    return allDeclarationsOf(target).filter(({ isExported }) => !isExported)
  })
  const shown = exportsOf(path).map(declared => declared.text)
  for (const seen of shown) {
    const found = hidden.filter(({ name }) => new RegExp(`\\b${name}\\b`).test(seen))
    shown.push(...found.map(declared => declared.text).filter(other => !shown.includes(other)))
  }
  return shown.filter(seen => hidden.some(declared => declared.text === seen))
}

/**
 * @param {string} path of a declaration file
 * @returns {{ name: string, text: string }[]} its exported declarations, with their docstrings
 */
function declarationsOf(path) {
  return allDeclarationsOf(path).filter(({ isExported }) => isExported)
}

/**
 * @param {string} path of a declaration file
 * @returns {{ name: string, text: string, isExported: boolean }[]}
 */
function allDeclarationsOf(path) {
  const text = readFileSync(join(ROOT, path), 'utf8')
  // A declaration begins at the left edge, perhaps with its docstring, and goes on until the next.
  const pieces = text.split(/^(?=\/\*\*|(?<!\*\/\n)(?:export|declare|import|interface|type) )/m)
  return pieces.flatMap(piece => {
    const [, exported, name] = DECLARATION.exec(piece) ?? []
    const isExported = exported !== undefined
    return name === undefined ? [] : [{ name, text: withoutInternals(piece), isExported }]
  })
}

/**
 * @param {string} text
 * @returns {string} without what is private or marked as internal
 */
function withoutInternals(text) {
  return text.replace(INTERNAL, '').replace(PRIVATE, '').trimEnd().concat('\n')
}
