// The password file of `godwit serve`, as its flags and its configuration name it.

import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { hashPassword } from '@godwit/broker'
import { EMPTY_CONFIG } from './config.ts'
import { parseConfig } from './config-file.ts'
import { applyFlags } from './serve-flags.ts'
import { checkPasswords, openPasswords, reloadPasswords, tellPasswords } from './serve-passwords.ts'
import { fileOf, noting } from './testing/access-file.ts'

test('the password file is named by a flag or in the configuration, and the flag wins', () => {
  const { config } = parseConfig('passwordFile: a\nallowAnonymous: true\n', 'x.yaml')
  const { access } = config
  assert.deepEqual([access.passwordFile, access.allowAnonymous], ['a', true])
  const flagged = applyFlags(config, { passwordFile: 'b' }).access
  assert.deepEqual([flagged.passwordFile, flagged.allowAnonymous], ['b', true])
  assert.equal(applyFlags(EMPTY_CONFIG.config, {}).access.passwordFile, null)
  assert.throws(() => applyFlags(EMPTY_CONFIG.config, { allowAnonymous: true }), /needs/)
  assert.throws(() => parseConfig('passwordFile: 3\n', 'x.yaml'), /x.yaml:1:1: passwordFile/)
})

test('a password file that is not there is an error, a wrong line only for --check', context => {
  const file = fileOf(context, 'passwords', 'joe:plain\n')
  const choice = { file, allowAnonymous: false }
  assert.throws(() => checkPasswords(openPasswords(choice)), /:1: a hash begins with/)
  const log = noting()
  tellPasswords(openPasswords(choice), log)
  assert.equal(log.lines.length, 2)
  assert.match(log.lines[0] ?? '', /nobody comes in by this line/)
  assert.equal(log.lines[1], '0 users have a password')
  const missing = { file: `${file}.none`, allowAnonymous: false }
  assert.throws(() => openPasswords(missing), /cannot be read: ENOENT/)
})

test('a password file is read again, and one that has gone leaves what was read', async context => {
  const file = fileOf(
    context,
    'passwords',
    `joe:${await hashPassword(Buffer.from('a'), 'sha512')}\n`,
  )
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
