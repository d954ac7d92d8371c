// The ACL file of `godwit serve`, as its flag and its configuration name it.

import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { EMPTY_CONFIG } from './config.ts'
import { parseConfig } from './config-file.ts'
import { openAcl, reloadAcl, tellAcl } from './serve-acl.ts'
import { applyFlags } from './serve-flags.ts'
import { fileOf, noting } from './testing/access-file.ts'

test('the ACL file is named by a flag or in the configuration, and the flag wins', () => {
  const { config } = parseConfig('aclFile: a\n', 'x.yaml')
  assert.equal(config.access.aclFile, 'a')
  assert.equal(applyFlags(config, {}).access.aclFile, 'a')
  assert.equal(applyFlags(config, { aclFile: 'b' }).access.aclFile, 'b')
  assert.equal(applyFlags(EMPTY_CONFIG.config, {}).access.aclFile, null)
  assert.throws(() => parseConfig('aclFile: 3\n', 'x.yaml'), /x.yaml:1:1: aclFile/)
})

test('an ACL file that is not there or has a wrong line is an error of use', context => {
  const file = fileOf(context, 'acl', 'topic a\ntopik b\n')
  const wrong = { name: 'CommandFailure', exitCode: 2, message: /acl:2: expected user, topic or/ }
  assert.throws(() => openAcl(file), wrong)
  rmSync(file)
  const missing = { exitCode: 2, message: /the ACL file cannot be read: ENOENT/ }
  assert.throws(() => openAcl(file), missing)
})

test('user names that nobody checks are told, where it matters', context => {
  const log = noting()
  const named = openAcl(fileOf(context, 'acl', 'user ann\ntopic a\n'))
  tellAcl(named, true, log)
  tellAcl(openAcl(fileOf(context, 'acl', 'topic a\ntopic b\n')), false, log)
  assert.deepEqual(log.lines, [
    '1 lines of the ACL file say who may publish and read what',
    '2 lines of the ACL file say who may publish and read what',
  ])
  tellAcl(named, false, log)
  assert.match(log.lines[3] ?? '', /^warn nobody checks the user names/)
})

test('an ACL file that cannot be read again stays as it was, and says so', context => {
  const file = fileOf(context, 'acl', 'user ann\ntopic a\n')
  const acl = openAcl(file)
  const client = { clientId: 'c', username: 'ann' }
  writeFileSync(file, 'user ann\ntopic b\n')
  assert.equal(reloadAcl(acl, true, noting()), true)
  assert.equal(acl.mayPublish(client, 'b'), true)
  writeFileSync(file, 'user\n')
  const log = noting()
  assert.equal(reloadAcl(acl, true, log), false)
  assert.match(log.lines[0] ?? '', /^error .*acl:1: expected a name after user\n.* as it was/)
  assert.equal(acl.mayPublish(client, 'b'), true)
})
