// Folders that are there, that are made, and that cannot be.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { readImport } from './import.ts'
import { makeDirectory } from './make-directory.ts'

test('folders are made with those above them, for their owner only; again is no error', t => {
  const top = fs.mkdtempSync(join(tmpdir(), 'godwit-make-'))
  t.after(() => fs.rmSync(top, { recursive: true }))
  const path = join(top, 'a', 'b', 'c')
  makeDirectory(path)
  makeDirectory(path)
  assert.equal(fs.statSync(join(top, 'a')).mode & 0o777, 0o700)
  assert.equal(fs.statSync(path).isDirectory(), true)
})

test('a file in the place of the folder, or above it, is an error', t => {
  const top = fs.mkdtempSync(join(tmpdir(), 'godwit-make-'))
  t.after(() => fs.rmSync(top, { recursive: true }))
  const file = join(top, 'file')
  fs.writeFileSync(file, '')
  assert.throws(() => makeDirectory(file), { code: 'EEXIST' })
  assert.throws(() => makeDirectory(join(file, 'a', 'b')), { code: 'ENOTDIR' })
})

// Where there is no /proc a file stands in for it.
const REFUSING = fs.existsSync('/proc/self') ? '/proc' : process.execPath

test('where the system makes no folders the answer is an error', () => {
  assert.throws(() => makeDirectory(join(REFUSING, 'godwit', 'data')), /ENOENT|ENOTDIR/)
})

test('an import says so', async () => {
  const made = readImport({ directory: join(REFUSING, 'godwit'), lines: [] })
  await assert.rejects(made, { name: 'StoreError', code: 'io', message: /cannot hold a store: EN/ })
})
