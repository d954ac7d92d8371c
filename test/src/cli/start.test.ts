// What the command loads when it starts. How long that takes depends on the machine
// (`npm run bench -- start`), which files are read does not.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { after, before, test } from 'node:test'
import { run } from '../support/run.ts'
import { GODWIT } from '../support/served.ts'

/** Tells at the end which files were loaded, and what of Node, after the command itself. */
const WITNESS = `
const { writeFileSync } = require('node:fs')
process.on('exit', () => {
  const files = Object.keys(require.cache).filter(path => path !== __filename)
  const parts = process.moduleLoadList.map(name => name.replace('NativeModule ', 'node:'))
  writeFileSync(process.env.GODWIT_LOADED, [...files, ...parts].join('\\n'))
})
`
let folder = ''

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-start-'))
  writeFileSync(join(folder, 'witness.cjs'), WITNESS)
  writeFileSync(join(folder, 'godwit.yaml'), 'data: none\n')
})

after(() => rmSync(folder, { recursive: true }))

async function loadedBy(args: readonly string[], code: number): Promise<string[]> {
  const list = join(folder, 'loaded')
  const words = ['--require', join(folder, 'witness.cjs'), GODWIT, ...args]
  const env = { ...process.env, GODWIT_LOADED: list }
  const { code: was, errors } = await run(process.execPath, words, { cwd: folder, env })
  assert.equal(was, code, errors)
  return readFileSync(list, 'utf8').split('\n')
}

const BIN = ['godwit.js', 'code-cache.js']

for (const [words, code, expected] of [
  ['--version', 0, ['start.js']],
  ['--help', 0, ['start.js', 'program.js']],
  ['pub --help', 0, ['start.js', 'clients.js']],
  ['pub -p 1 a b', 1, ['start.js', 'clients.js']],
  ['sub -p 1 a', 1, ['start.js', 'clients.js']],
  ['rr -p 1 -t a -e b -m c', 1, ['start.js', 'clients.js']],
  ['check -p 1', 1, ['start.js', 'clients.js']],
  ['ticktock -host localhost:1', 1, ['start.js', 'program.js', 'clients.js']],
  ['passwd -c -b passwords joe secret', 0, ['start.js', 'program.js']],
  ['completion bash', 0, ['start.js', 'program.js']],
  ['completion zsh', 0, ['start.js', 'program.js']],
  ['serve --port x', 2, ['start.js', 'program.js', 'serve.js', 'store-thread.js']],
  ['serve --port x --data none', 2, ['start.js', 'program.js', 'serve.js']],
  [
    'serve --config godwit.yaml --port x',
    2,
    ['start.js', 'program.js', 'serve.js', 'config.js', 'store-thread.js'],
  ],
  ['serve --check', 0, ['start.js', 'program.js', 'serve.js']],
  ['serve --check --config godwit.yaml', 0, ['start.js', 'program.js', 'serve.js', 'config.js']],
  ['bench load --help', 0, ['start.js', 'bench.js']],
  ['bench load -p 1', 3, ['start.js', 'bench.js', 'testers.js']],
  ['bench many -p 1', 3, ['start.js', 'bench.js', 'testers.js']],
  ['bench compare-brokers --list', 0, ['start.js', 'bench.js', 'testers.js']],
] as const) {
  test(`a start reads what it needs and no more: ${words}`, async () => {
    const loaded = (await loadedBy(words.split(' '), code)).filter(isAbsolute)
    const names = loaded.map(path => basename(path)).sort()
    assert.deepEqual(names, [...BIN, ...expected].sort(), loaded.join('\n'))
  })
}

for (const [words, code, needless] of [
  ['pub -p 1 a b', 1, ['tls', 'http', 'https', 'crypto', 'zlib', 'child_process']],
  ['sub -p 1 a', 1, ['tls', 'http', 'https', 'crypto', 'zlib', 'child_process']],
  ['rr -p 1 -t a -e b -m c', 1, ['tls', 'http', 'https', 'crypto', 'zlib', 'child_process']],
  ['check -p 1', 1, ['tls', 'http', 'https', 'zlib', 'child_process']],
  ['passwd --help', 0, ['tls', 'http', 'https', 'crypto', 'zlib']],
  ['serve --check', 0, ['tls', 'http', 'https', 'crypto', 'zlib']],
  ['bench load -p 1', 3, ['tls', 'http', 'https', 'crypto', 'child_process']],
] as const) {
  test(`a start asks Node for nothing that it does not need: ${words}`, async () => {
    const loaded = await loadedBy(words.split(' '), code)
    assert.ok(loaded.includes('node:events'), 'what is loaded is listed')
    assert.deepEqual(
      needless.filter(name => loaded.includes(`node:${name}`)),
      [],
    )
  })
}

for (const name of ['serve', 'checkpoint-service', 'testers', 'worker']) {
  test(`what has to be fast is bundled as it would be loaded: ${name}`, () => {
    const file = join(dirname(GODWIT), '..', 'dist', 'bundle', `${name}.js`)
    // What is imported on demand within one file makes variables of all that it shares with others.
    assert.doesNotMatch(readFileSync(file, 'utf8'), /= __esm\(/)
  })
}
