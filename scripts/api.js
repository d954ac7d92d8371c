// Writes docs/api/*.d.ts.txt: what each package makes public, as its compiled declarations say it.
// A change of a public name is then a change that a reviewer sees.
//
//   node scripts/api.js           writes the files; build first
//   node scripts/api.js --check   fails when a file is old
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { parseArgs } from 'node:util'
import { exportsOf } from './declarations.js'
import { ROOT } from './sources.js'

const FOLDER = 'docs/api'
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
