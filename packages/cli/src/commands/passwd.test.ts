// `godwit passwd` without a process of its own; with Mosquitto it is in test/src/interop.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { PasswordFile } from '@godwit/broker'
import { type PasswdFlags, passwd } from './passwd.ts'

const QUICK = { iterations: '10' }

function fileOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'passwords')
}

async function isRight(path: string, username: string, password: string): Promise<boolean> {
  const answer = await new PasswordFile(path).authenticate({
    username,
    password: Buffer.from(password),
  })
  return answer === 0
}

test('passwd makes a file that only its owner may read', async context => {
  const path = fileOf(context)
  assert.equal(await passwd([path, 'ann', 'secret'], { create: true, batch: true, ...QUICK }), 0)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(await isRight(path, 'ann', 'secret'), true)
})

test('passwd hashes, changes and takes out, and leaves the rest as it is', async context => {
  const path = fileOf(context)
  writeFileSync(path, '# people\n\nann:plain\nbob:text\n', { mode: 0o640 })
  assert.equal(await passwd([path], { update: true, ...QUICK }), 0)
  assert.equal(await isRight(path, 'ann', 'plain'), true)
  const before = readFileSync(path, 'utf8')
  assert.equal(await passwd([path], { update: true, ...QUICK }), 0)
  assert.equal(readFileSync(path, 'utf8'), before, 'what is hashed stays')
  assert.equal(await passwd([path, 'ann', 'new'], { batch: true, ...QUICK }), 0)
  assert.equal(await isRight(path, 'ann', 'plain'), false)
  assert.equal(await isRight(path, 'ann', 'new'), true)
  assert.equal(await passwd([path, 'bob'], { delete: true }), 0)
  assert.equal(await isRight(path, 'bob', 'text'), false)
  await assert.rejects(passwd([path, 'bob'], { delete: true }), /there is no user bob/)
  assert.equal(await passwd([path, 'ann', 'new'], { verify: true, batch: true }), 0)
  const wrong = passwd([path, 'ann', 'plain'], { verify: true, batch: true })
  await assert.rejects(wrong, /not the password of ann/)
  assert.match(readFileSync(path, 'utf8'), /^# people\n\nann:\$7\$10\$\S+\n$/)
  assert.equal(statSync(path).mode & 0o777, 0o640)
})

const mistakes: readonly (readonly [words: string[], flags: PasswdFlags, text: RegExp])[] = [
  [[], {}, /say which file/],
  [['{file}'], {}, /say who/],
  [['{file}', 'ann', 'secret'], {}, /needs -b/],
  [['{file}', 'ann'], { batch: true }, /-b needs the password/],
  [['{file}', 'ann', 'secret'], { batch: true }, /-c makes a new one/],
  [['{file}', 'a:b', 'secret'], { batch: true, create: true }, /has no colon/],
  [['{file}', 'ann', ''], { batch: true, create: true }, /the password is empty/],
  [['{file}', 'ann', 'x'], { batch: true, create: true, hash: 'md5' }, /-H takes sha512/],
  [['{file}', 'ann', 'x'], { batch: true, create: true, iterations: '0' }, /iterations/],
  [['{file}', 'ann', 'x', 'y'], { batch: true, create: true }, /one word too many/],
]

for (const [words, flags, text] of mistakes) {
  test(`passwd says what is wrong: ${text.source}`, async context => {
    const path = fileOf(context)
    const filled = words.map(word => word.replace('{file}', path))
    await assert.rejects(passwd(filled, flags), text)
    assert.equal(existsSync(path), false)
  })
}
