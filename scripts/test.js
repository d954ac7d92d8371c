// Runs the compiled tests with node's test runner.
//
//   npm test                  every test but the long ones
//   npm test -- topic         the files whose path contains "topic"
//   npm test -- --long        the long ones (*.long.test.ts) only
//
// It does not build: the npm scripts do that first.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { filesBelow, projects, ROOT, sourceOf } from './sources.js'

const TEST_TIMEOUT_MS = 120_000
const LONG_TEST_TIMEOUT_MS = 1_200_000
// Tests wait for sockets more than they compute, so fewer than two at once would waste a core.
const CONCURRENCY_MIN = 2

const { values, positionals: topics } = parseArgs({
  allowPositionals: true,
  options: { long: { type: 'boolean', default: false }, list: { type: 'boolean', default: false } },
})
const files = testFiles(topics, values.long)

if (values.list) {
  console.log(files.join('\n'))
} else if (files.length === 0) {
  const which = values.long ? 'long test' : 'test'
  console.error(`no ${which} file has a path that contains ${topics.join(' or ') || 'anything'}`)
  process.exitCode = 1
} else {
  process.exitCode = run(files, values.long)
}

/**
 * @param {string[]} topics parts of paths; with none every file is taken
 * @param {boolean} long
 * @returns {string[]} compiled test files that still have their source
 */
function testFiles(topics, long) {
  return projects()
    .flatMap(project => filesBelow(join(project, 'dist')))
    .filter(path => path.endsWith('.test.js') && path.endsWith('.long.test.js') === long)
    .filter(path => existsSync(join(ROOT, sourceOf(path) ?? '')))
    .filter(path => topics.length === 0 || topics.some(topic => path.includes(topic)))
}

/**
 * @param {string[]} files
 * @param {boolean} long
 * @returns {number} the exit code
 */
function run(files, long) {
  const reporter = relative(process.cwd(), join(ROOT, 'scripts/reporter.js'))
  const args = [
    '--test',
    // Long tests measure: beside another one their figures would mean nothing.
    `--test-concurrency=${long ? 1 : Math.max(CONCURRENCY_MIN, availableParallelism())}`,
    `--test-timeout=${long ? LONG_TEST_TIMEOUT_MS : TEST_TIMEOUT_MS}`,
    `--test-reporter=./${reporter}`,
    ...files,
  ]
  const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' })
  return status ?? 1
}
