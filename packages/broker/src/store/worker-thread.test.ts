// The thread that is started before anybody knows for which store, by real workers.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

const HERE = new URL('.', import.meta.url).href
let folder = ''

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-thread-'))
})

after(() => rmSync(folder, { recursive: true }))

/** Runs a program that counts the workers it makes, and prints what it prints. */
function printed(program: string): string {
  const text = `
    import { createRequire, syncBuiltinESMExports } from 'node:module'
    const threads = createRequire(import.meta.url)('node:worker_threads')
    let count = 0
    threads.Worker = class extends threads.Worker {
      constructor(...words) {
        super(...words)
        count++
      }
    }
    syncBuiltinESMExports()
    const { dropAhead, startAhead } = await import('${HERE}worker-thread.js')
    const { openDiskStore } = await import('${HERE}disk.js')
    const owner = { durable() {}, fetched() {}, failed(cause) { throw cause } }
    const log = { info() {}, warn() {}, error() {} }
    const open = name => openDiskStore({ directory: '${folder}/' + name }, owner, log)
    ${program}`
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', text],
    { encoding: 'utf8', timeout: 60_000 },
  )
  assert.equal(status, 0, stderr)
  return stdout.trim()
}

test('a thread that was started ahead is that of the next store, and of no other', () => {
  const seen = printed(`
    startAhead()
    startAhead()
    const ahead = count
    const one = await open('one')
    const first = count
    const two = await open('two')
    console.log(ahead, first, count)
    await one.close()
    await two.close()`)
  assert.equal(seen, '1 1 2')
})

test('a thread that was dropped is not that of the next store', () => {
  const seen = printed(`
    startAhead()
    await dropAhead()
    await dropAhead()
    const dropped = count
    const store = await open('four')
    console.log(dropped, count)
    await store.close()`)
  assert.equal(seen, '1 2')
})

test('a thread that nobody takes keeps no process alive', () => {
  assert.equal(printed('startAhead(); console.log(count)'), '1')
})

test('a thread that was ended before it was taken is not taken', () => {
  const seen = printed(`
    let made = null
    const { Worker } = threads
    threads.Worker = class extends Worker {
      constructor(...words) {
        super(...words)
        made ??= this
      }
    }
    syncBuiltinESMExports()
    startAhead()
    made.emit('error', new Error('it ended'))
    const store = await open('three')
    console.log(count)
    await store.close()
    await made.terminate()`)
  assert.equal(seen, '2')
})

// Node itself refuses to start a module with this option, and starts what is none.
for (const options of ['--input-type=module', '--no-warnings "--input-type" commonjs']) {
  test(`NODE_OPTIONS='${options}' is for no thread of the store`, () => {
    const path = join(folder, 'program.cjs')
    writeFileSync(
      path,
      `import('${HERE}disk.js').then(async ({ openDiskStore }) => {
        const log = { info() {}, warn() {}, error() {} }
        const store = await openDiskStore({ directory: '${folder}/five' }, {}, log)
        await store.close()
        console.log('closed', process.env.NODE_OPTIONS)
      })`,
    )
    const env = { ...process.env, NODE_OPTIONS: options }
    const how = { encoding: 'utf8', timeout: 60_000, env } as const
    const { stdout, stderr } = spawnSync(process.execPath, [path], how)
    assert.equal(stdout.trim(), `closed ${options}`, stderr)
  })
}
