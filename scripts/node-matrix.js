// Runs the compiled tests on several versions of Node, prints a table. Arguments that are numbers
// choose versions; others go to scripts/test.js.
//
//   npm run test:matrix                 every version
//   npm run test:matrix -- 22 topic     one version, the test files whose path contains "topic"
//
// Each Node is npm's package for this platform, in a scratch folder: npm's package `node` is
// a script that fetches the same package, and install scripts are not run here.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { ROOT } from './sources.js'

const MAJORS = ['20', '22', '24', '26']
const INSTALL_TIMEOUT_MS = 300_000
const SUITE_TIMEOUT_MS = 900_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
const SCRATCH = join(tmpdir(), 'godwit-node-matrix')

/**
 * @typedef {{
 *   major: string, version: string, result: string, seconds: number, passed: boolean
 * }} Row
 */

const chosen = process.argv.slice(2).filter(argument => /^\d+$/.test(argument))
const testArgs = process.argv.slice(2).filter(argument => !/^\d+$/.test(argument))

const rows = (chosen.length > 0 ? chosen : MAJORS).map(major => row(major, testArgs))
console.log(table(rows))
process.exitCode = rows.every(({ passed }) => passed) ? 0 : 1

/**
 * @param {string} major
 * @param {string[]} args
 * @returns {Row}
 */
function row(major, args) {
  const startMs = performance.now()
  const node = install(major)
  if (node === undefined) return failed(major, 'could not be installed', startMs)
  const version = run(node, ['--version'], INSTALL_TIMEOUT_MS).stdout.trim()
  const { status, stdout, stderr } = run(node, ['scripts/test.js', ...args], SUITE_TIMEOUT_MS)
  const counts = Object.fromEntries(
    [...stdout.matchAll(/^ℹ (pass|fail|cancelled|skipped) (\d+)$/gm)].map(([, k, n]) => [k, n]),
  )
  const passed = status === 0 && Number(counts['pass']) > 0
  if (!passed) console.log(`--- Node ${version}\n${stdout}${stderr}`)
  const bad = Number(counts['fail'] ?? 0) + Number(counts['cancelled'] ?? 0)
  const skipped = counts['skipped'] === '0' ? '' : `, ${counts['skipped']} skipped`
  const result = counts['pass'] ? `${counts['pass']} passed, ${bad} failed${skipped}` : 'no result'
  return { major, version, result, seconds: seconds(startMs), passed }
}

/**
 * Makes an installed Node of a version, in a folder that later runs find again.
 * @param {string} major
 * @returns {string | undefined} the path of its executable
 */
function install(major) {
  const system = process.platform === 'win32' ? 'win' : process.platform
  const name = `node-${system}-${process.arch}`
  const folder = join(SCRATCH, major)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const args = ['install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund']
  spawnSync('npm', [...args, `${name}@${major}`], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: INSTALL_TIMEOUT_MS,
    shell: process.platform === 'win32',
  })
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  const node = join(folder, 'node_modules', name, 'bin', file)
  return existsSync(node) ? node : undefined
}

/**
 * @param {string} node the path of an executable
 * @param {string[]} args
 * @param {number} timeoutMs
 */
function run(node, args, timeoutMs) {
  // What a test starts as `node` or `npx` must be of the same version.
  const path = `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}`
  return spawnSync(node, args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
    maxBuffer: OUTPUT_BYTES_MAX,
    timeout: timeoutMs,
  })
}

/**
 * @param {string} major
 * @param {string} result
 * @param {number} startMs
 * @returns {Row}
 */
function failed(major, result, startMs) {
  return { major, version: `v${major}`, result, seconds: seconds(startMs), passed: false }
}

/**
 * @param {number} startMs
 * @returns {number}
 */
function seconds(startMs) {
  return Math.round((performance.now() - startMs) / 1000)
}

/**
 * @param {Row[]} rows
 * @returns {string} a Markdown table
 */
function table(rows) {
  const lines = rows.map(
    ({ version, result, seconds, passed }) =>
      `| ${version} | ${passed ? 'passed' : 'FAILED'} | ${result} | ${seconds} s |`,
  )
  return ['| Node | suite | tests | time |', '|---|---|---|---|', ...lines].join('\n')
}
