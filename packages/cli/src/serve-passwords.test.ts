// The password file of `godwit serve`, as its flags and its configuration name it.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hashPassword } from '@godwit/broker'
import { EMPTY_CONFIG } from './config.ts'
import { parseConfig } from './config-file.ts'
import { applyFlags } from './serve-flags.ts'
import { checkPasswords, openPasswords, reloadPasswords, tellPasswords } from './serve-passwords.ts'

function fileOf(context: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'passwords')
  writeFileSync(path, text)
  return path
}

function noting(): {
  lines: string[]
  info(text: string): void
  warn(text: string): void
  error(text: string): void
} {
  const lines: string[] = []
  const note = (text: string): void => void lines.push(text)
  return { lines, info: note, warn: note, error: note }
}

test('the password file is named by a flag or in the configuration, and the flag wins', () => {
  const { config } = parseConfig('passwordFile: a\nallowAnonymous: true\n', 'x.yaml')
  assert.deepEqual(config.passwords, { file: 'a', allowAnonymous: true })
  assert.deepEqual(applyFlags(config, { passwordFile: 'b' }).passwords, {
    file: 'b',
    allowAnonymous: true,
  })
  assert.equal(applyFlags(EMPTY_CONFIG.config, {}).passwords, null)
  assert.throws(() => applyFlags(EMPTY_CONFIG.config, { allowAnonymous: true }), /needs/)
  assert.throws(() => parseConfig('passwordFile: 3\n', 'x.yaml'), /x.yaml:1:1: passwordFile/)
})

test('a password file that is not there is an error, a wrong line only for --check', context => {
  const file = fileOf(context, 'joe:plain\n')
  const choice = { file, allowAnonymous: false }
  assert.throws(() => checkPasswords(choice), /:1: a hash begins with/)
  const log = noting()
  tellPasswords(openPasswords(choice), log)
  assert.equal(log.lines.length, 2)
  assert.match(log.lines[0] ?? '', /nobody comes in by this line/)
  assert.equal(log.lines[1], '0 users have a password')
  const missing = { file: `${file}.none`, allowAnonymous: false }
  assert.throws(() => openPasswords(missing), /cannot be read: ENOENT/)
})

test('a password file is read again, and one that has gone leaves what was read', async context => {
  const file = fileOf(context, `joe:${await hashPassword(Buffer.from('a'), 'sha512')}\n`)
  const passwords = openPasswords({ file, allowAnonymous: false })
  writeFileSync(file, `ann:${await hashPassword(Buffer.from('b'), 'sha512')}\n`)
  const log = noting()
  reloadPasswords(passwords, log)
  assert.deepEqual(log.lines, ['1 users have a password'])
  rmSync(file)
  reloadPasswords(passwords, log)
  assert.match(log.lines[1] ?? '', /cannot be read again: ENOENT/)
  const answer = await passwords.authenticate({ username: 'ann', password: Buffer.from('b') })
  assert.equal(answer, 0)
})
