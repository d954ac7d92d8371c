// Which names of properties the small build of the client for web pages must keep: those that an
// application sees, and those that the language and the platform define. The rest is shortened.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportsOf, hiddenBehind } from './declarations.js'
import { ROOT } from './sources.js'

const TYPESCRIPT = 'node_modules/@typescript'
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm
const STRING = /'[^'\n]*'/g
const NAME = /[A-Za-z_$][\w$]*/g
const MEMBER = /^\s+(?:readonly |static |get |set )*"?([A-Za-z_$][\w$]*)"?\??\s*[:(<]/gm
const GLOBAL = /^declare var ([A-Z]\w+)/gm
/** Names that a module imports or declares. */
const OWN = /^import \{[^}]*\}|\b(?:class|function\*?|const|let) \w+/gm
const FREE = /(?<![.\w])[A-Za-z]\w*(?!\w*:)/g
const INTERFACE = /^(?:declare )?(?:interface|var) (\w+)[^\n]*\{\n([\s\S]*?)^\}/gm

/** What is used of the platform everywhere: test/src/tidy lets no other file touch more of it. */
const PlatformTypes = [
  'AbortSignal',
  'AddEventListenerOptions',
  'EventTarget',
  'TextDecoder',
  'TextEncoder',
  'URL',
]

/** Methods of strings for HTML, which nobody uses and whose names are common. */
const Outdated = [
  'anchor',
  'big',
  'blink',
  'bold',
  'fixed',
  'italics',
  'link',
  'small',
  'sub',
  'sup',
]

/**
 * @param {string} entry declarations, a path below the root
 * @param {readonly string[]} shown declarations of what applications see besides
 * @param {readonly string[]} outside compiled files that touch the platform: there all is kept
 * @returns {ReadonlySet<string>}
 */
export function visibleNames(entry, shown, outside) {
  const exported = exportsOf(entry).map(({ text }) => text)
  const declared = [...exported, ...hiddenBehind(entry), ...shown.map(read)]
  const names = declared.flatMap(text => namesIn(text.replace(COMMENT, '').replace(STRING, '')))
  const platform = outside.flatMap(path => namesIn(read(path).replace(COMMENT, '')))
  const language = languageNames().filter(name => !Outdated.includes(name))
  return new Set(['default', ...names, ...language, ...platform])
}

/**
 * @param {string} path of a compiled module whose names are shortened
 * @throws Error when it uses more of the platform than `PlatformTypes`
 */
export function checkPlatform(path) {
  const text = read(path).replace(COMMENT, '').replace(STRING, '')
  const own = new Set([...text.matchAll(OWN)].flatMap(([all]) => namesIn(all)))
  const used = [...text.matchAll(FREE)].map(([name]) => name)
  const found = used.find(name => {
    return platformGlobals().has(name) && !own.has(name) && !PlatformTypes.includes(name)
  })
  if (found === undefined) return
  throw new Error(`${path} uses ${found}: name the file in scripts/web.js, or keep out of there`)
}

/** @type {ReadonlySet<string> | null} */
let globals = null

/** @returns {ReadonlySet<string>} classes and namespaces of browsers, not of the language */
function platformGlobals() {
  if (globals === null) {
    const { platform } = typeFiles()
    const declared = platform.flatMap(path => [...clean(path).matchAll(GLOBAL)])
    globals = new Set([...declared.map(([, name = '']) => name), 'crypto', 'performance'])
  }
  return globals
}

/** @returns {string[]} */
function languageNames() {
  const { language, platform } = typeFiles()
  const bodies = platform.flatMap(path => [...clean(path).matchAll(INTERFACE)])
  const used = bodies.filter(([, type = '']) => PlatformTypes.includes(type))
  if (language.length === 0 || used.length < PlatformTypes.length) {
    throw new Error('the types of the language and of the platform are not where they were')
  }
  return [...language.map(clean), ...used.map(([, , body = '']) => body)].flatMap(membersIn)
}

/** @returns {{ language: string[], platform: string[] }} declarations that TypeScript brings */
function typeFiles() {
  const folders = readdirSync(join(ROOT, TYPESCRIPT)).map(name => join(TYPESCRIPT, name, 'lib'))
  const files = folders.flatMap(folder =>
    readdirSync(join(ROOT, folder)).map(name => join(folder, name)),
  )
  return {
    language: files.filter(path => /lib\.es(?:\d|next)[^/]*\.d\.ts$/.test(path)),
    platform: files.filter(path => path.endsWith('lib.dom.d.ts')),
  }
}

/**
 * @param {string} text
 * @returns {string[]}
 */
function membersIn(text) {
  return [...text.matchAll(MEMBER)].map(([, name = '']) => name)
}

/**
 * @param {string} text
 * @returns {string[]}
 */
function namesIn(text) {
  return text.match(NAME) ?? []
}

/**
 * @param {string} path
 * @returns {string} without comments
 */
function clean(path) {
  return read(path).replace(COMMENT, '')
}

/**
 * @param {string} path below the root
 * @returns {string}
 */
function read(path) {
  return readFileSync(join(ROOT, path), 'utf8')
}
