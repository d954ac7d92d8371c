// What a start keeps of its compiled code, and that nothing is taken which is not of this text and
// of this owner (packages/cli/bin/code-cache.js). The command is a copy: others do not see it.

import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type Result, run } from '../support/run.ts'
import { GODWIT, serve } from '../support/served.ts'
import { skipWithout } from '../support/skip.ts'

const PACKAGE = join(dirname(GODWIT), '..')
const isWindows = process.platform === 'win32'
const SOMEBODY = '12345'

/**
 * Tells of each file that was compiled whether V8 took the code it was given; null: none was. Who
 * owns what is given by the environment, since only root can give files away.
 */
const WITNESS = `
const fs = require('node:fs')
const vm = require('node:vm')
const { GODWIT_TAKEN, GODWIT_OWNER, GODWIT_USER } = process.env
if (GODWIT_OWNER !== undefined) {
  const { fstatSync } = fs
  fs.fstatSync = file => Object.assign(fstatSync(file), { uid: Number(GODWIT_OWNER) })
}
if (GODWIT_USER !== undefined) process.geteuid = () => Number(GODWIT_USER)
const taken = {}
vm.Script = class extends vm.Script {
  constructor(text, options) {
    super(text, options)
    const { filename, cachedData } = options ?? {}
    if (filename === undefined) return
    taken[filename] = cachedData === undefined ? null : !this.cachedDataRejected
  }
}
process.on('exit', () => {
  fs.writeFileSync(GODWIT_TAKEN, JSON.stringify(taken))
})
`

let folder = ''
let godwit = ''
let bundle = ''
let cache = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-code-'))
  for (const part of ['bin', 'dist/bundle', 'package.json']) {
    const filter = (from: string): boolean => basename(from) !== 'cache'
    cpSync(join(PACKAGE, part), join(folder, part), { recursive: true, filter })
  }
  symlinkSync(join(PACKAGE, '../../node_modules'), join(folder, 'node_modules'), 'junction')
  writeFileSync(join(folder, 'witness.cjs'), WITNESS)
  godwit = join(folder, 'bin', 'godwit.js')
  bundle = join(folder, 'dist', 'bundle')
  cache = join(bundle, 'cache')
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function environment(): NodeJS.ProcessEnv {
  // With coverage nothing is kept, and these tests are run with coverage too.
  const { NODE_V8_COVERAGE: _, ...rest } = process.env
  return {
    ...rest,
    NODE_OPTIONS: `--require ${join(folder, 'witness.cjs')}`,
    GODWIT_TAKEN: join(folder, 'taken'),
  }
}

function start(words: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Result> {
  return run(process.execPath, [godwit, ...words], { env: { ...environment(), ...more } })
}

/** By the name of the file. */
function taken(): Record<string, boolean | null> {
  const all = JSON.parse(readFileSync(join(folder, 'taken'), 'utf8')) as Record<string, boolean>
  return Object.fromEntries(Object.entries(all).map(([path, is]) => [basename(path), is]))
}

/** Where the code of start.js is, as `--version` keeps it. */
async function kept(): Promise<string> {
  assert.equal((await start(['--version'])).code, 0)
  assert.deepEqual(taken(), { 'start.js': null })
  const [name] = readdirSync(cache)
  return join(cache, name ?? '')
}

test('the second start takes the code of the first', async () => {
  const first = await start(['pub', '--help'])
  assert.equal(first.code, 0, first.errors)
  assert.deepEqual(taken(), { 'start.js': null, 'clients.js': null })
  const second = await start(['pub', '--help'])
  assert.deepEqual(taken(), { 'start.js': true, 'clients.js': true })
  assert.equal(second.output, first.output)
})

test('each kind of run has its own code, since it needs other functions', async () => {
  await start(['completion', 'bash'])
  await start(['completion', '--help'])
  assert.deepEqual(taken(), { 'start.js': null, 'program.js': null })
})

for (const data of ['none', 'data']) {
  test(`a broker keeps code that its next start takes: ${data}`, async () => {
    for (const expected of [null, true]) {
      const where = data === 'none' ? data : join(folder, data)
      const served = await serve(['--port', '0', '--data', where], {
        command: godwit,
        env: environment(),
      })
      assert.equal(await served.stop(), 0)
      const files = ['start.js', 'program.js', 'serve.js']
      if (data !== 'none') files.push('store-thread.js')
      assert.deepEqual(taken(), Object.fromEntries(files.map(file => [file, expected])))
    }
  })
}

test('a run that fails keeps nothing', async () => {
  assert.equal((await start(['pub', '--no-such-option'])).code, 1)
  assert.equal(existsSync(cache), false)
})

test('code of another text of the same length is not taken', async () => {
  await kept()
  const path = join(bundle, 'start.js')
  const text = readFileSync(path, 'utf8')
  const changed = text.replace(/VERSION = "\d/, 'VERSION = "7')
  assert.equal(changed.length, text.length)
  assert.notEqual(changed, text)
  writeFileSync(path, changed)
  assert.match((await start(['--version'])).output, /^7\./)
  assert.deepEqual(taken(), { 'start.js': null })
})

test('code that is cut short is not taken', async () => {
  const path = await kept()
  truncateSync(path, 1000)
  assert.equal((await start(['--version'])).code, 0)
  assert.deepEqual(taken(), { 'start.js': false })
})

test('code that others may write is not taken', async context => {
  if (skipWithout(context, isWindows ? 'modes of files' : undefined)) return
  const path = await kept()
  chmodSync(path, 0o666)
  assert.equal((await start(['--version'])).code, 0)
  assert.deepEqual(taken(), { 'start.js': null })
})

test('code of another owner than the text is not taken', async context => {
  if (skipWithout(context, isWindows ? 'owners of files' : undefined)) return
  await kept()
  assert.equal((await start(['--version'], { GODWIT_OWNER: SOMEBODY })).code, 0)
  assert.deepEqual(taken(), { 'start.js': null })
})

test('who does not own the bundle keeps nothing beside it', async context => {
  if (skipWithout(context, isWindows ? 'owners of files' : undefined)) return
  assert.equal((await start(['--version'], { GODWIT_USER: SOMEBODY })).code, 0)
  assert.equal(existsSync(cache), false)
})

test('where no code can be kept, the command works as well', async () => {
  writeFileSync(cache, 'not a folder')
  assert.equal((await start(['--version'])).code, 0)
})

test('of code that could not be kept nothing is left', async () => {
  const path = await kept()
  rmSync(path)
  mkdirSync(path)
  assert.equal((await start(['--version'])).code, 0)
  assert.deepEqual(readdirSync(cache), [basename(path)])
})
