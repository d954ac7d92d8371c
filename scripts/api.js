// Writes docs/api/*.d.ts.txt: what each package makes public, as its compiled declarations say it.
// A change of a public name is then a change that a reviewer sees.
//
//   node scripts/api.js           writes the files; build first
//   node scripts/api.js --check   fails when a file is old
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from './sources.js'

const FOLDER = 'docs/api'
const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:class|interface|type|function|const) (\w+)/m
const INTERNAL =
  /^ {4}\/\*\*(?:(?!\*\/)[\s\S])*?@internal[\s\S]*?\*\/\n(?: {4}\S.*\n(?: {8}.*\n)*)/gm
const PRIVATE = /^(?: {4}\/\*\*(?:(?!\*\/)[\s\S])*?\*\/\n)? {4}private .*\n/gm
const NOTE = 'Written by scripts/api.js. Do not edit: change the source and run it again.'

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })

let old = 0
for (const name of readdirSync(join(ROOT, 'packages'))) {
  const entries = entriesOf(`packages/${name}`)
  if (entries.length === 0) continue
  const path = `${FOLDER}/${name}.d.ts.txt`
  const text = `// ${NOTE}\n${describe(entries)}`
  const file = join(ROOT, path)
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
  if (values.check) {
    console.error(`${path} is old: run "npm run build && node scripts/api.js"`)
    old++
  } else {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    console.log(`written: ${path}`)
  }
}
process.exitCode = old > 0 ? 1 : 0

/**
 * @param {string} folder of a package
 * @returns {{ name: string, types: string }[]} what can be imported and where its types are
 */
function entriesOf(folder) {
  const path = join(ROOT, folder, 'package.json')
  if (!existsSync(path)) return []
  /** @type {{ name: string, exports?: Record<string, unknown> }} */
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  return Object.entries(manifest.exports ?? {}).flatMap(([key, target]) => {
    const types = typeof target === 'object' && target !== null && 'types' in target && target.types
    if (typeof types !== 'string' || types.includes('*')) return []
    return [{ name: posix.join(manifest.name, key), types: posix.join(folder, types) }]
  })
}

/**
 * @param {{ name: string, types: string }[]} entries of one package
 * @returns {string}
 */
function describe(entries) {
  /** @type {Set<string>} */
  const shown = new Set()
  return entries
    .map(({ name, types }) => {
      const all = exportsOf(types).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
      const fresh = all.filter(({ text }) => !shown.has(text))
      const same = all.filter(({ text }) => shown.has(text)).map(other => other.name)
      for (const { text } of fresh) shown.add(text)
      const rest = same.length === 0 ? '' : `// As above: ${same.join(', ')}\n\n`
      return `\n// ---- ${name}\n\n${rest}${fresh.map(({ text }) => text).join('\n')}`
    })
    .join('')
}

/**
 * @param {string} path of an entry's declarations
 * @returns {{ name: string, text: string }[]} the declaration of each name that it exports
 */
function exportsOf(path) {
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
