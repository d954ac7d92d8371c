// The ACL file of `godwit serve`, as its flag and its configuration name it.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { EMPTY_CONFIG } from './config.ts'
import { parseConfig } from './config-file.ts'
import { openAcl, reloadAcl, tellAcl } from './serve-acl.ts'
import { applyFlags } from './serve-flags.ts'

function fileOf(context: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'acl')
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
  return {
    lines,
    info: text => void lines.push(text),
    warn: text => void lines.push(`warn ${text}`),
    error: text => void lines.push(`error ${text}`),
  }
}

test('the ACL file is named by a flag or in the configuration, and the flag wins', () => {
  const { config } = parseConfig('aclFile: a\n', 'x.yaml')
  assert.equal(config.aclFile, 'a')
  assert.equal(applyFlags(config, {}).aclFile, 'a')
  assert.equal(applyFlags(config, { aclFile: 'b' }).aclFile, 'b')
  assert.equal(applyFlags(EMPTY_CONFIG.config, {}).aclFile, null)
  assert.throws(() => parseConfig('aclFile: 3\n', 'x.yaml'), /x.yaml:1:1: aclFile/)
})

test('an ACL file that is not there or has a wrong line is an error of use', context => {
  const file = fileOf(context, 'topic a\ntopik b\n')
  const wrong = { name: 'CommandFailure', exitCode: 2, message: /acl:2: expected user, topic or/ }
  assert.throws(() => openAcl(file), wrong)
  rmSync(file)
  const missing = { exitCode: 2, message: /the ACL file cannot be read: ENOENT/ }
  assert.throws(() => openAcl(file), missing)
})

test('user names that nobody checks are told, where it matters', context => {
  const log = noting()
  const named = openAcl(fileOf(context, 'user ann\ntopic a\n'))
  tellAcl(named, true, log)
  tellAcl(openAcl(fileOf(context, 'topic a\ntopic b\n')), false, log)
  assert.deepEqual(log.lines, [
    '1 lines of the ACL file say who may publish and read what',
    '2 lines of the ACL file say who may publish and read what',
  ])
  tellAcl(named, false, log)
  assert.match(log.lines[3] ?? '', /^warn nobody checks the user names/)
})

test('an ACL file that cannot be read again stays as it was, and says so', context => {
  const file = fileOf(context, 'user ann\ntopic a\n')
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
