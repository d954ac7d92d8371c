// Makes of the client what web pages get: one module without imports, and one with the parts that
// few pages need, which it loads on demand. In both, names that nobody outside can see are short,
// and numbers stand where tables of numbers were. What tsc has compiled stays beside it, for Node
// and for development. The lite client is one module more, without what explains an error of the
// codec beyond its code.
import { readFileSync, rmSync } from 'node:fs'
import { join, posix, relative, sep } from 'node:path'
import { build } from 'esbuild'
import { ROOT } from './sources.js'
import { compact, numbersOf } from './web-compact.js'
import { checkPlatform, visibleNames } from './web-names.js'
import { withoutTexts } from './web-texts.js'
import { withoutUnused } from './web-unused.js'

const CLIENT = 'packages/client/dist'
const PACKET = 'packages/packet/dist'
const FOLDER = `${CLIENT}/web`
const ENTRY = `${CLIENT}/browser.js`
const PARTS = `${CLIENT}/parts.js`
const LITE = `${CLIENT}/lite.js`
const PACKET_INDEX = `${PACKET}/index.js`
const LOADS_PARTS = "(await import('../parts.js')).AllParts"

/** The client needs only the reading half of it, the parts only the writing one. */
const Copied = [`${PACKET}/auth.js`]

/** The modules whose exported numbers are put in place. */
const Tables = [
  `${PACKET}/constants.js`,
  `${CLIENT}/limits.js`,
  `${CLIENT}/link.js`,
  `${CLIENT}/outgoing.js`,
  `${CLIENT}/session.js`,
  `${CLIENT}/store.js`,
  `${CLIENT}/wanted.js`,
]

/** What applications see beyond the declarations of the entry: packets, and errors of the codec. */
const Shown = [`${PACKET}/packets.d.ts`, `${PACKET}/errors.d.ts`]

/** Where the platform is touched. */
const Outside = [
  `${CLIENT}/publish-stream.js`,
  `${CLIENT}/scram.js`,
  `${CLIENT}/stores/indexeddb.js`,
  `${CLIENT}/transports/adopt.js`,
  `${CLIENT}/transports/browser-websocket.js`,
  `${CLIENT}/transports/browser.js`,
  `${CLIENT}/transports/lite.js`,
  `${CLIENT}/transports/stream.js`,
]

const IMPORT = /^import (?:\{ ([^}]*) \} from )?'([^']+)';$/gm
const EXPORT = /^export (?:async )?(?:class|function\*?|const|let) (\w+)/gm

/** @typedef {import('esbuild').Plugin} Plugin */
/** @typedef {import('./web-compact.js').Numbers} Numbers */
/** @typedef {{ path: string, name: string }} Shared a name that the parts get from the rest */

/** @returns {Promise<void>} */
export async function buildForWeb() {
  rmSync(join(ROOT, FOLDER), { recursive: true, force: true })
  const numbers = await numbersOf(Tables)
  const names = visibleNames(`${CLIENT}/browser.d.ts`, Shown, Outside)
  /** @type {import('esbuild').BuildOptions & { metafile: true }} */
  const options = {
    absWorkingDir: ROOT,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    sourcemap: true,
    mangleProps: /./,
    reserveProps: anyOf(names),
    mangleCache: {},
    metafile: true,
    logLevel: 'warning',
  }
  /** @type {(text: string) => string} */
  const shorten = text => compact(text, numbers)
  const first = { ...options, entryPoints: [ENTRY], outfile: `${FOLDER}/client.js` }
  const { metafile } = await build({ ...first, write: false, plugins: [loads(shorten)] })
  const inner = new Set(Object.keys(metafile.inputs).filter(path => !Copied.includes(path)))
  const { shared, outer } = partition(inner, numbers)
  for (const path of [...inner, ...outer]) if (!Outside.includes(path)) checkPlatform(path)
  // With imports of their own the parts would make bundlers cut the rest in two, and two files are
  // larger than one. So they are given what they share with it.
  const { mangleCache } = await build({
    ...first,
    plugins: [loads(text => handOver(shorten(text), shared))],
  })
  await build({
    ...options,
    ...(mangleCache && { mangleCache }),
    entryPoints: [PARTS],
    outfile: `${FOLDER}/parts.js`,
    format: 'iife',
    globalName: 'parts',
    banner: { js: 'export default shared=>{' },
    footer: { js: 'return parts.AllParts}' },
    plugins: [takes(shared, outer, shorten)],
  })
  const lite = await build({
    ...options,
    mangleCache: {},
    reserveProps: anyOf([...names, ...visibleNames(`${CLIENT}/lite.d.ts`, Shown, Outside)]),
    entryPoints: [LITE],
    outfile: `${FOLDER}/lite.js`,
    plugins: [loads((text, path) => shorten(withoutTexts(withoutUnused(path, text))))],
  })
  for (const path of Object.keys(lite.metafile.inputs)) {
    if (!Outside.includes(path)) checkPlatform(path)
  }
}

/**
 * @param {Iterable<string>} names
 * @returns {RegExp}
 */
function anyOf(names) {
  return new RegExp(`^(?:${[...names].join('|').replaceAll('$', '\\$')})$`)
}

/**
 * @param {ReadonlySet<string>} inner what every page loads
 * @param {Numbers} numbers
 * @returns {{ shared: Shared[], outer: ReadonlySet<string> }} which other modules the parts have,
 *   and which names these take from the inner ones
 */
function partition(inner, numbers) {
  const outer = new Set([PARTS])
  /** @type {Map<string, Shared>} */
  const shared = new Map()
  /** @type {(name: string) => boolean} */
  const isShared = name => !numbers.tables.has(name) && !numbers.constants.has(name)
  for (const path of outer) {
    for (const { names, target } of importsOf(path)) {
      for (const name of names.filter(isShared)) {
        const from = target === PACKET_INDEX ? packetFileOf(name) : target
        if (inner.has(from)) shared.set(`${from} ${name}`, { path: from, name })
        else outer.add(from)
      }
    }
  }
  return { shared: [...shared.values()], outer }
}

/**
 * @param {string} path of a compiled module
 * @returns {{ names: string[], target: string }[]}
 */
function importsOf(path) {
  return [...read(path).matchAll(IMPORT)].map(([, names = '', specifier = '']) => ({
    names: names.split(/,\s*/).filter(name => name !== ''),
    target: resolve(path, specifier),
  }))
}

/**
 * @param {string} from the importing module
 * @param {string} specifier
 * @returns {string}
 */
function resolve(from, specifier) {
  return specifier === '@godwit/packet' ? PACKET_INDEX : posix.join(posix.dirname(from), specifier)
}

/**
 * @param {string} name that the codec exports
 * @returns {string} the module that declares it
 */
function packetFileOf(name) {
  const found = packetFiles().find(path => exportedBy(path).includes(name))
  if (found === undefined) throw new Error(`${PACKET_INDEX} does not export ${name}`)
  return found
}

/** @returns {string[]} the modules of the codec */
function packetFiles() {
  const index = read(PACKET_INDEX).matchAll(/'\.\/([\w-]+\.js)'/g)
  return [...index].map(([, file]) => `${PACKET}/${file}`)
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function exportedBy(path) {
  return [...read(path).matchAll(EXPORT)].map(([, name = '']) => name)
}

/**
 * @param {(text: string, path: string) => string} change
 * @returns {Plugin} leaves the parts outside
 */
function loads(change) {
  return {
    name: 'loads',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /\/parts\.js$/ }, ({ kind }) =>
        kind === 'dynamic-import' ? { path: './parts.js', external: true } : undefined,
      )
      onLoad({ filter: /\.js$/ }, ({ path }) => {
        return { contents: change(readFileSync(path, 'utf8'), path) }
      })
    },
  }
}

/**
 * @param {string} text of a module
 * @param {readonly Shared[]} shared
 * @returns {string} the one that loads the parts gives them what they share
 */
function handOver(text, shared) {
  if (!text.includes(LOADS_PARTS)) return text
  const imports = shared.map(({ name, path }, index) => {
    return `import { ${name} as shared${index} } from ${JSON.stringify(join(ROOT, path))};\n`
  })
  const list = shared.map((_, index) => `shared${index}`).join(', ')
  return (
    imports.join('') + text.replace(LOADS_PARTS, `(await import('./parts.js')).default([${list}])`)
  )
}

/**
 * @param {readonly Shared[]} shared
 * @param {ReadonlySet<string>} outer
 * @param {(text: string) => string} change
 * @returns {Plugin} what is shared comes from the caller
 */
function takes(shared, outer, change) {
  return {
    name: 'takes',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /./ }, ({ importer, kind, namespace, path }) => {
        if (kind === 'entry-point') return undefined
        if (namespace === 'shared') return { path }
        const target = resolve(relative(ROOT, importer).replaceAll(sep, '/'), path)
        return outer.has(target)
          ? { path: join(ROOT, target) }
          : { path: target, namespace: 'shared' }
      })
      onLoad({ filter: /./, namespace: 'shared' }, ({ path }) => {
        const files = path === PACKET_INDEX ? packetFiles() : [path]
        const names = files.flatMap(file => exportedBy(file).map(name => ({ file, name })))
        const lines = names.map(({ file, name }) => {
          const at = shared.findIndex(each => each.path === file && each.name === name)
          if (outer.has(file)) return `export { ${name} } from ${JSON.stringify(join(ROOT, file))}`
          return `export const ${name} = ${at < 0 ? 'undefined' : `shared[${at}]`}`
        })
        return { contents: lines.join('\n'), resolveDir: ROOT }
      })
      onLoad({ filter: /\.js$/ }, ({ path }) => ({ contents: change(readFileSync(path, 'utf8')) }))
    },
  }
}

/**
 * @param {string} path below the root
 * @returns {string}
 */
function read(path) {
  return readFileSync(join(ROOT, path), 'utf8')
}
