// Bundles the command: each start reads two to four files instead of a hundred and more, and each
// file holds what one kind of command needs. They are CommonJS, since the ways of ES modules
// cost Node 20 more than modules do. bin/godwit.js takes them while nothing was compiled later.
//
// What few starts need stays outside and is loaded on demand. So does `ws`: what faces the network
// is to be what npm has installed.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { build } from 'esbuild'
import { ROOT } from './sources.js'

const FOLDER = join(ROOT, 'packages/cli/dist')
const BUNDLE = join(FOLDER, 'bundle')

/**
 * The modules of each file. Who imports one of them on demand gets the file. What else is imported
 * on demand is in the file of who does, and makes it slower: names there are set when it is used.
 * @type {Record<string, string[]>}
 */
const Files = {
  start: ['start.js'],
  clients: [
    'options/parse.js',
    'commands/client-help.js',
    'commands/pub.js',
    'commands/sub.js',
    'commands/rr.js',
    'commands/check.js',
    'commands/ticktock.js',
    'output/watch.js',
  ],
  program: ['main.js', 'commands/passwd.js', 'commands/completion.js'],
  // Together, as the testers are, since what one throws another recognizes by its class.
  transfer: [
    'commands/transfer.js',
    '../../broker/dist/store/export.js',
    '../../broker/dist/store/import.js',
  ],
  serve: ['serve.js'],
  argon: ['../../broker/dist/guard/argon.js'],
  'store-thread': ['../../broker/dist/store/worker-thread.js'],
  // Under the names by which the broker starts them.
  'checkpoint-worker': ['../../broker/dist/store/checkpoint-worker.js'],
  'checkpoint-service': ['../../broker/dist/store/checkpoint-service.js'],
  'argon-worker': ['../../broker/dist/guard/argon-worker.js'],
  observer: ['../../broker/dist/observer.js'],
  config: ['config-file.js', 'mosquitto/load.js', 'config-yaml.js'],
  'log-pretty': ['log-pretty.js'],
  bench: ['bench/command.js'],
  testers: [
    'bench/compare-brokers.js',
    'bench/compare-command.js',
    'bench/coordinator.js',
    'bench/many.js',
    'bench/options.js',
    'bench/output-files.js',
    'bench/progress.js',
    'bench/quantities.js',
    'bench/run.js',
    'bench/slo.js',
  ],
  // The testers' other processes.
  worker: ['bench/worker.js'],
}

/** Dependencies of the command too: its bundle asks for them itself. */
const Outside = ['hash-wasm', 'node-sqlite3-wasm', 'uplot', 'ws']

const OWN_URL = "'use strict';const ownUrl = require('node:url').pathToFileURL(__filename).href;"

/** Modules of Node that most starts do without. */
const Late = new Set([
  'child_process',
  'crypto',
  'dns/promises',
  'http',
  'https',
  'perf_hooks',
  'tls',
  'worker_threads',
  'zlib',
])

const LICENSE = /^licen[cs]e/i

/** @typedef {import('esbuild').Plugin} Plugin */

/** @returns {Promise<void>} */
export async function bundleCommand() {
  rmSync(BUNDLE, { recursive: true, force: true })
  const { metafile } = await build({
    entryPoints: Object.entries(Files).map(([out, modules]) => ({
      in: entryOf(out, modules),
      out,
    })),
    outdir: BUNDLE,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // What is imported on demand is required: `import()` would start the loader of ES modules.
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'ownUrl' },
    banner: { js: OWN_URL },
    external: Outside,
    plugins: [Parted],
    absWorkingDir: ROOT,
    metafile: true,
    logLevel: 'warning',
  })
  for (const name of Object.keys(Files)) finish(join(BUNDLE, `${name}.js`))
  writeFileSync(join(BUNDLE, 'package.json'), '{ "type": "commonjs" }\n')
  writeFileSync(join(BUNDLE, 'LICENSES.txt'), licenses(Object.keys(metafile.inputs)))
}

/**
 * Makes the files, which export all that their modules do, and the ways from one to the other.
 * @type {Plugin}
 */
const Parted = {
  name: 'parted',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^file:/ }, ({ path }) => ({ path: path.slice(5), namespace: 'bundle' }))
    onLoad({ filter: /./, namespace: 'bundle' }, ({ path }) => ({
      contents: modulesOf(path)
        .map(module => `export * from './${module}'`)
        .join('\n'),
      resolveDir: FOLDER,
    }))
    onResolve({ filter: /^(\.|@godwit\/)/ }, ({ path, kind, resolveDir }) => {
      if (kind !== 'dynamic-import') return null
      const module = path.startsWith('.')
        ? slashed(relative(FOLDER, join(resolveDir, path)))
        : path.replace(/^@godwit\/([a-z]+)\/(.*)$/, '../../$1/dist/$2.js')
      const file = Object.keys(Files).find(name => modulesOf(name).includes(module))
      return file === undefined ? null : { path: `./${file}.js`, external: true }
    })
  },
}

/**
 * The first line says what the text is: bin/code-cache.js takes code only for the same text.
 * @param {string} path
 */
function finish(path) {
  const text = onDemand(readFileSync(path, 'utf8'))
  writeFileSync(path, `// ${createHash('sha256').update(text).digest('hex')}\n${text}`)
}

/**
 * Asks Node for a module of its own when a name of it is used first: TLS, HTTP and crypto are
 * twenty-five files of Node, 15 to 20 ms of processor time, and few commands need them.
 * @param {string} text of a file, as esbuild writes it
 * @returns {string}
 */
function onDemand(text) {
  const declared = /^var (import_\w+) = (require\("node:([a-z_/]+)"\));$/gm
  const found = [...text.matchAll(declared)].filter(([, , , name = '']) => Late.has(name))
  const places = new Map(found.map(([, variable = '', required = '']) => [variable, required]))
  return text.replace(/^var (import_\w+) = .*$|\bimport_\w+\b/gm, (part, declaredName) => {
    const required = places.get(declaredName ?? part)
    if (required === undefined) return part
    // In brackets: `new call().Name()` would make a thing of the call.
    if (declaredName === undefined) return `(${part}())`
    return `function ${declaredName}() { return ${declaredName}.its ??= ${required}; }`
  })
}

/**
 * One module is its own entry: all that it does belongs to it. Of several the exports do.
 * @param {string} file
 * @param {string[]} modules
 * @returns {string}
 */
function entryOf(file, modules) {
  const [first = ''] = modules
  return modules.length === 1 ? join(FOLDER, first) : `file:${file}`
}

/**
 * @param {string} file
 * @returns {string[]}
 */
function modulesOf(file) {
  return Files[file] ?? []
}

/**
 * The licenses of what others have written, which have to go with it.
 * @param {string[]} inputs paths below the root
 * @returns {string}
 */
function licenses(inputs) {
  const folders = inputs.flatMap(
    path => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [],
  )
  return [...new Set(folders)]
    .sort()
    .map(folder => licenseIn(join(ROOT, folder)))
    .join(`\n${'-'.repeat(72)}\n\n`)
}

/**
 * @param {string} folder of a package
 * @returns {string}
 */
function licenseIn(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find(each => LICENSE.test(each))
  const text = file === undefined ? '' : `\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
  return `${name} ${version}: ${license}\n${text}`
}

/**
 * @param {string} path
 * @returns {string} with slashes on every system
 */
function slashed(path) {
  return path.replaceAll(sep, '/')
}
