// Password hashes and password files. That Mosquitto reads ours and we read Mosquitto's is tested
// in test/src/interop.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeUtf8, ReasonCode } from '@godwit/packet'
import { PasswordFile } from './password-file.ts'
import {
  hashPassword,
  PASSWORD_HASH_KINDS,
  PasswordHashError,
  parsePasswordHash,
} from './password-hash.ts'

const SECRET = encodeUtf8('sécret')
// Made by mosquitto_passwd 2.0.11 for the password "secret".
const OF_MOSQUITTO =
  '$7$101$t2HW9MRr3fvnesDu$S04pruj8rgOWW+/0+2PMHid/JTbcDD9rouStTb0TIhRvmYR2hPx4pwUIZf/krUUZ' +
  'eV7ia7w32kvDyY6pUhZy9g=='

function withFile(text: string, use: (path: string) => Promise<void> | void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  const path = join(folder, 'passwords')
  writeFileSync(path, text)
  return Promise.resolve(use(path)).finally(() => rmSync(folder, { recursive: true }))
}

for (const kind of PASSWORD_HASH_KINDS) {
  test(`a hash by ${kind} fits its password only, and is never the same twice`, async () => {
    const text = await hashPassword(SECRET, kind, { iterations: 10 })
    const hash = parsePasswordHash(text)
    assert.equal(hash.kind, kind)
    assert.equal(await hash.verify(SECRET), true)
    assert.equal(await hash.verify(encodeUtf8('Sécret')), false)
    assert.equal(await hash.verify(new Uint8Array(0)), false)
    assert.notEqual(await hashPassword(SECRET, kind, { iterations: 10 }), text)
  })
}

test('a hash of mosquitto_passwd fits its password', async () => {
  const hash = parsePasswordHash(OF_MOSQUITTO)
  assert.equal(await hash.verify(encodeUtf8('secret')), true)
  assert.equal(await hash.verify(encodeUtf8('secret ')), false)
})

const salt = 'AAAAAAAAAAAAAAAA'
const wrong: readonly (readonly [what: string, text: string])[] = [
  ['plain text', 'secret'],
  ['nothing', ''],
  ['an unknown scheme', '$5$abc$def'],
  ['$6$ without a hash', `$6$${salt}`],
  ['$6$ with a short hash', `$6$${salt}$AAAA`],
  ['$6$ with a fourth part', `$6$${salt}$${'A'.repeat(86)}==$x`],
  ['$7$ without iterations', `$7$${salt}$${'A'.repeat(86)}==`],
  ['$7$ with no iterations', `$7$0$${salt}$${'A'.repeat(86)}==`],
  ['$7$ with too many iterations', `$7$10000001$${salt}$${'A'.repeat(86)}==`],
  ['$7$ with a salt that is not base64', `$7$101$!!$${'A'.repeat(86)}==`],
  ['argon2i', '$argon2i$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$AAAA'],
  ['argon2id that wants too much memory', '$argon2id$v=19$m=1048577,t=2,p=1$c2FsdHNhbHQ$AAAA'],
  ['argon2id that wants too many passes', '$argon2id$v=19$m=16,t=101,p=1$c2FsdHNhbHQ$AAAA'],
]

for (const [what, text] of wrong) {
  test(`${what} is no hash`, () => {
    assert.throws(() => parsePasswordHash(text), PasswordHashError)
  })
}

test('nobody has an empty password, and iterations have a range', async () => {
  for (const kind of PASSWORD_HASH_KINDS) {
    await assert.rejects(hashPassword(new Uint8Array(0), kind), /the password is empty/)
  }
  await assert.rejects(hashPassword(SECRET, 'sha512-pbkdf2', { iterations: 0 }), RangeError)
  await assert.rejects(hashPassword(SECRET, 'sha512-pbkdf2', { iterations: 1.5 }), RangeError)
  await assert.rejects(
    hashPassword(SECRET, 'sha512-pbkdf2', { iterations: 10_000_001 }),
    RangeError,
  )
})

test('a password file lets in who is in it with the right password', async () => {
  await withFile(`# people\n\njoe:${OF_MOSQUITTO}\r\n`, async path => {
    const file = new PasswordFile(path)
    assert.equal(file.userCount, 1)
    const ask = (username: string | null, password: string | null): Promise<number> =>
      file.authenticate({ username, password: password === null ? null : encodeUtf8(password) })
    assert.equal(await ask('joe', 'secret'), 0)
    assert.equal(await ask('joe', 'secret'), 0, 'again, from memory')
    assert.equal(await ask('joe', 'wrong'), ReasonCode.NOT_AUTHORIZED)
    assert.equal(await ask('joe', ''), ReasonCode.NOT_AUTHORIZED)
    assert.equal(await ask('joe', null), ReasonCode.NOT_AUTHORIZED)
    assert.equal(await ask('jane', 'secret'), ReasonCode.NOT_AUTHORIZED)
    assert.equal(await ask(null, 'secret'), ReasonCode.NOT_AUTHORIZED)
    assert.equal(await ask(null, null), ReasonCode.NOT_AUTHORIZED)
  })
})

test('a password file lets in anybody without a name where that is wanted', async () => {
  await withFile(`joe:${OF_MOSQUITTO}\n`, async path => {
    const file = new PasswordFile(path, { allowAnonymous: true })
    assert.equal(await file.authenticate({ username: null, password: null }), 0)
    const password = encodeUtf8('wrong')
    assert.notEqual(await file.authenticate({ username: 'joe', password }), 0)
  })
})

test('lines of a password file that are wrong are named, and let nobody in', async () => {
  await withFile(`joe:secret\n:${OF_MOSQUITTO}\nnobody\nann:${OF_MOSQUITTO}\n`, async path => {
    const file = new PasswordFile(path)
    assert.deepEqual(
      file.problems.map(problem => problem.slice(path.length)),
      [
        ':1: a hash begins with $6$, $7$ or $argon2id$',
        ':2: expected name:hash',
        ':3: expected name:hash',
      ],
    )
    const password = encodeUtf8('secret')
    assert.notEqual(await file.authenticate({ username: 'joe', password }), 0)
    assert.notEqual(await file.authenticate({ username: '', password }), 0)
    assert.equal(await file.authenticate({ username: 'ann', password }), 0)
  })
})

test('a password file is read again, and what was right before is forgotten', async () => {
  await withFile(`joe:${OF_MOSQUITTO}\n`, async path => {
    const file = new PasswordFile(path)
    const password = encodeUtf8('secret')
    assert.equal(await file.authenticate({ username: 'joe', password }), 0)
    writeFileSync(path, `joe:${await hashPassword(encodeUtf8('new'), 'sha512')}\n`)
    file.reload()
    assert.notEqual(await file.authenticate({ username: 'joe', password }), 0)
    rmSync(path)
    assert.throws(() => file.reload(), /ENOENT/)
    assert.equal(await file.authenticate({ username: 'joe', password: encodeUtf8('new') }), 0)
    writeFileSync(path, '')
  })
})

test('of 101 passwords at once 100 are checked and one is told to come later', async () => {
  await withFile(`joe:${OF_MOSQUITTO}\n`, async path => {
    const file = new PasswordFile(path)
    const password = encodeUtf8('wrong')
    const answers = await Promise.all(
      Array.from({ length: 101 }, () => file.authenticate({ username: 'joe', password })),
    )
    assert.equal(answers.filter(code => code === ReasonCode.SERVER_BUSY).length, 1)
    assert.equal(await file.authenticate({ username: 'joe', password }), ReasonCode.NOT_AUTHORIZED)
  })
})

test('of logins of one user at once with one password one makes a hash', async () => {
  await withFile(`joe:${OF_MOSQUITTO}\njane:${OF_MOSQUITTO}\n`, async path => {
    const file = new PasswordFile(path)
    const ask = (username: string, password: string): Promise<number> =>
      file.authenticate({ username, password: encodeUtf8(password) })
    const right = Array.from({ length: 50 }, () => ask('joe', 'secret'))
    assert.deepEqual(new Set(await Promise.all(right)), new Set([0]))
    assert.equal(file.hashesMade, 1)
    // What is wrong is checked each time, and no other user's password is taken for right.
    const codes = await Promise.all([ask('joe', 'x'), ask('joe', 'x'), ask('jane', 'secret')])
    assert.deepEqual(codes, [ReasonCode.NOT_AUTHORIZED, ReasonCode.NOT_AUTHORIZED, 0])
    assert.equal(file.hashesMade, 4)
  })
})

test('argon2id is checked beside the event loop, not in it', async () => {
  const hash = parsePasswordHash(await hashPassword(Buffer.from('right'), 'argon2id'))
  // The thread is there.
  assert.equal(await hash.verify(Buffer.from('right')), true)
  let turns = 0
  let isDone = false
  const turn = (): void => {
    turns++
    if (!isDone) setImmediate(turn)
  }
  turn()
  const answers = await Promise.all(['wrong', 'right'].map(text => hash.verify(Buffer.from(text))))
  isDone = true
  assert.deepEqual(answers, [false, true])
  // In the event loop each would be one piece, and the turns so few that one counts them by hand.
  assert.ok(turns > 100, `${turns} turns of the event loop`)
})

test('a user that does not exist costs as much as one that does', async () => {
  const hash = await hashPassword(encodeUtf8('right'), 'sha512-pbkdf2', { iterations: 200_000 })
  await withFile(`joe:${hash}\n`, async path => {
    const file = new PasswordFile(path)
    const password = encodeUtf8('wrong')
    // Of the processor, all threads together: what others do with it is not counted.
    const costOf = async (username: string): Promise<number> => {
      const before = process.cpuUsage()
      await file.authenticate({ username, password })
      return process.cpuUsage(before).user
    }
    const known = await costOf('joe')
    const unknown = await costOf('nobody')
    // Another kind of hash would cost a thousandth.
    assert.ok(unknown > known / 10, `${unknown} us, ${known} us for a known one`)
  })
})
