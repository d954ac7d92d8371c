// The space for bad times: taken when there is plenty, given up when it is what is missing, and not
// taken back before there is plenty again.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Ballast } from './ballast.ts'

const BYTES = 10_000

function make(t: TestContext): { ballast: Ballast; path: string; free: (bytes: number) => void } {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'godwit-ballast-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'ballast')
  let freeBytes = 1_000_000
  const free = (bytes: number): void => {
    freeBytes = bytes
  }
  return { ballast: new Ballast(path, BYTES, () => freeBytes), path, free }
}

test('the space is taken once, with bytes that no file system makes smaller', t => {
  const { ballast, path } = make(t)
  assert.equal(ballast.held, false)
  assert.equal(ballast.take(), true)
  const bytes = fs.readFileSync(path)
  assert.equal(bytes.length, BYTES)
  assert.ok(new Set(bytes).size > 200)
  assert.equal(ballast.take(), true)
  assert.deepEqual(fs.readFileSync(path), bytes)
})

test('it is not taken where it would leave nothing, nor given up where space is not missing', t => {
  const { ballast, path, free } = make(t)
  free(2 * BYTES - 1)
  assert.equal(ballast.take(), false)
  assert.equal(fs.existsSync(path), false)
  assert.equal(ballast.release(), false)
  free(2 * BYTES)
  assert.equal(ballast.take(), true)
  free(BYTES)
  assert.equal(ballast.release(), false)
  assert.equal(ballast.held, true)
})

test('on a full disk it is given up once, and taken back when there is room for more', t => {
  const { ballast, free } = make(t)
  ballast.take()
  free(BYTES - 1)
  assert.equal(ballast.wanted, true)
  assert.equal(ballast.release(), true)
  assert.equal(ballast.release(), false)
  free(BYTES)
  assert.equal(ballast.take(), false)
  free(2 * BYTES)
  assert.equal(ballast.take(), true)
})

test('one that was cut short is made anew', t => {
  const { ballast, path } = make(t)
  fs.writeFileSync(path, 'half')
  assert.equal(ballast.held, false)
  assert.equal(ballast.take(), true)
  assert.equal(fs.statSync(path).size, BYTES)
})

test('the space without the real size of the file system is asked for where the file is', t => {
  const { path } = make(t)
  assert.equal(new Ballast(path, BYTES).take(), true)
  assert.equal(new Ballast(path, Number.MAX_SAFE_INTEGER).take(), false)
})
