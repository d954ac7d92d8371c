// Reads compiled declarations: what a package makes public, without what is private or internal.
import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { ROOT } from './sources.js'

const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:class|interface|type|function|const) (\w+)/m
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
 * @param {string} path of a declaration file
 * @returns {{ name: string, text: string }[]} its exported declarations, with their docstrings
 */
function declarationsOf(path) {
  const text = readFileSync(join(ROOT, path), 'utf8')
  // A declaration begins at the left edge, perhaps with its docstring, and goes on until the next.
  const pieces = text.split(/^(?=\/\*\*|(?<!\*\/\n)(?:export|declare|import|interface|type) )/m)
  return pieces.flatMap(piece => {
    const [, name] = DECLARATION.exec(piece) ?? []
    return name === undefined ? [] : [{ name, text: withoutInternals(piece) }]
  })
}

/**
 * @param {string} text
 * @returns {string} without what is private or marked as internal
 */
function withoutInternals(text) {
  return text.replace(INTERNAL, '').replace(PRIVATE, '').trimEnd().concat('\n')
}
