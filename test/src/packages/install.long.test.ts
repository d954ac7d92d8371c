// The four packages as users get them: what is in them, that they install into an empty folder, and
// that the command and the libraries work there without the workspace.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Result, run } from '../support/run.ts'
import { serve } from '../support/served.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const Known = [
  /^(?:package\.json|LICENSE|README\.md)$/,
  /^bin\/(?:godwit\.js|code-cache\.js|package\.json)$/,
  /^dist\/.*\.(?:js|d\.ts|js\.map)$/,
  /^dist\/bundle\/(?:package\.json|LICENSES\.txt)$/,
]
const INSTALL_LIMIT_MS = 600_000

interface Packed {
  readonly name: string
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

let folder = ''
let packed: readonly Packed[] = []

async function npm(cwd: string, ...args: readonly string[]): Promise<Result> {
  const result = await run('npm', [...args, '--no-audit', '--no-fund'], {
    cwd,
    limitMs: INSTALL_LIMIT_MS,
  })
  assert.equal(result.code, 0, result.errors)
  return result
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-packages-'))
  const args = ['pack', '--workspaces', '--json', '--ignore-scripts', '--pack-destination', folder]
  packed = JSON.parse((await npm(ROOT, ...args)).output) as Packed[]
  const tarballs = readdirSync(folder).map(name => join(folder, name))
  mkdirSync(join(folder, 'app'))
  writeFileSync(join(folder, 'app', 'package.json'), '{ "private": true, "type": "module" }\n')
  await npm(join(folder, 'app'), 'install', '--prefer-offline', '--ignore-scripts', ...tarballs)
})

after(() => rmSync(folder, { recursive: true, force: true }))

test('the packages hold what users need, and nothing else', () => {
  assert.deepEqual(packed.map(({ name }) => name).sort(), [
    '@godwit/broker',
    '@godwit/client',
    '@godwit/packet',
    'godwit',
  ])
  for (const { name, files } of packed) {
    const paths = files.map(({ path }) => path)
    for (const needed of ['package.json', 'LICENSE', 'README.md', 'dist/index.js']) {
      const isCommand = name === 'godwit' && needed === 'dist/index.js'
      const expected = isCommand ? 'bin/godwit.js' : needed
      assert.ok(paths.includes(expected), `${name} has no ${expected}`)
    }
    const maps = paths.filter(path => path.endsWith('.map') && !path.startsWith('dist/web/'))
    assert.deepEqual(maps, [], name)
    const unknown = paths.filter(
      path => !Known.some(one => one.test(path)) || /\.test\.|\/testing\//.test(path),
    )
    assert.deepEqual(unknown, [], name)
  }
})

test('the command runs where only the packages are: serve, pub, sub', async () => {
  const app = join(folder, 'app')
  const command = join(app, 'node_modules', 'godwit', 'bin', 'godwit.js')
  const served = await serve(['--port', '0', '--data', join(folder, 'data')], { command, cwd: app })
  try {
    const port = new URL(served.urls[0] ?? '').port
    const npx = (...args: string[]): Promise<Result> => {
      return run('npx', ['--no-install', 'godwit', ...args], { cwd: app })
    }
    const common = ['-p', port, '-t', 'hello', '-q', '1']
    const sent = await npx('pub', ...common, '-m', 'world', '-r')
    assert.equal(sent.code, 0, sent.errors)
    const got = await npx('sub', ...common, '-v', '-C', '1', '-W', '50')
    assert.equal(got.output, 'hello world\n', got.errors)
    assert.equal(await served.stop(), 0)
  } finally {
    await served.stop('SIGKILL')
  }
})

test('a program embeds the broker in three lines, where only the packages are', async () => {
  const app = join(folder, 'app')
  writeFileSync(
    join(app, 'embed.js'),
    `import { createBroker } from '@godwit/broker'
const broker = createBroker()
await broker.listen({ port: 0 })
broker.publish('hello', 'world', { retain: true })
console.log(broker.stats().retainedMessages > 0)
await broker.close()
`,
  )
  const result = await run(process.execPath, ['embed.js'], { cwd: app })
  assert.equal(result.output, 'true\n', result.errors)
})
