// All that CI checks, one line per step; a step's output is printed only when it fails.
//
//   npm run check             format and lint, unused code, types, packages, tests
//   npm run check -- --fast   the same without the tests
//
// GODWIT_TESTED=1 says that the tests have just run (npm cit): then only tidy runs of them.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from './sources.js'

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
const NAME_WIDTH = 24

const { values } = parseArgs({ options: { fast: { type: 'boolean', default: false } } })
const tested = process.env['GODWIT_TESTED'] === '1'

/** @type {{ name: string, command: string[] }[]} */
const steps = [
  {
    name: 'format and lint',
    command: bin('@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'),
  },
  { name: 'types', command: ['scripts/build.js'] },
  { name: 'types of scripts', command: bin('typescript/bin/tsc', '-p', 'scripts') },
  { name: 'unused code', command: bin('knip/bin/knip.js', '--no-progress', '--no-config-hints') },
  ...packages().map(path => ({
    name: `package ${path.slice('packages/'.length)}`,
    command: bin('publint/src/cli.js', 'run', path, '--strict'),
  })),
  { name: 'conformance table', command: ['scripts/conformance.js', '--check'] },
  { name: 'tidy rules', command: ['scripts/test.js', 'tidy'] },
]
if (!values.fast) steps.push({ name: 'public names', command: ['scripts/api.js', '--check'] })
if (!values.fast && !tested) steps.push({ name: 'tests', command: ['scripts/test.js'] })

process.exitCode = steps.filter(step => !passes(step)).length === 0 ? 0 : 1

/**
 * @param {{ name: string, command: string[] }} step
 * @returns {boolean}
 */
function passes({ name, command }) {
  const startMs = performance.now()
  const options = {
    cwd: ROOT,
    encoding: /** @type {const} */ ('utf8'),
    maxBuffer: OUTPUT_BYTES_MAX,
  }
  const { status, stdout, stderr, error } = spawnSync(process.execPath, command, options)
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  const passed = status === 0
  console.log(`${passed ? 'ok  ' : 'FAIL'}  ${name.padEnd(NAME_WIDTH)} ${seconds.padStart(6)} s`)
  if (!passed) console.log(`${stdout ?? ''}${stderr ?? ''}${error ? `${error}\n` : ''}`)
  return passed
}

/**
 * @param {string} script a path below node_modules
 * @param {string[]} args
 * @returns {string[]} arguments for node
 */
function bin(script, ...args) {
  return [join('node_modules', script), ...args]
}

/** @returns {string[]} */
function packages() {
  return readdirSync(join(ROOT, 'packages'))
    .map(name => `packages/${name}`)
    .filter(path => existsSync(join(ROOT, path, 'package.json')))
}
