// SCRAM-SHA-256: the exchange of RFC 7677, what breaks it, and what nobody may learn from it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  inventedKeys,
  readClientFirst,
  ScramError,
  ScramExchange,
  scramKeys,
  scramKeysLater,
} from './scram.ts'
import { ScramUsers } from './scram-users.ts'

// RFC 7677 section 3: user "user", password "pencil".
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const CLIENT_FIRST = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO'
const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const NONCE = `rOprNGfwEbeRWgbNEkqO${SERVER_NONCE}`
const SERVER_FIRST = `r=${NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
const CLIENT_FINAL = `c=biws,r=${NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`
const SERVER_FINAL = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

const KEYS = scramKeys('pencil', 4096, SALT)

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function exchange(keys = KEYS, known = true): ScramExchange {
  return new ScramExchange(readClientFirst(bytes(CLIENT_FIRST)), keys, known, SERVER_NONCE)
}

test('the exchange of RFC 7677 goes as it is written there', () => {
  const own = exchange()
  assert.equal(Buffer.from(own.challenge).toString(), SERVER_FIRST)
  assert.equal(Buffer.from(own.finish(bytes(CLIENT_FINAL))).toString(), SERVER_FINAL)
  assert.equal(own.username, 'user')
})

test('keys are the same whether they are made here or on another thread', async () => {
  assert.deepEqual(await scramKeysLater('pencil', 4096, SALT), KEYS)
})

test('a password is the same in every form that SASLprep makes one', () => {
  const plain = scramKeys('ﬁsh é', 4096, SALT)
  assert.deepEqual(scramKeys('f\u00adish\u00a0e\u0301', 4096, SALT), plain)
  assert.throws(() => scramKeys('bell\u0007', 4096, SALT), ScramError)
})

for (const [what, final] of [
  ['a proof of another password', CLIENT_FINAL.replace('p=dHzb', 'p=dHzc')],
  ['a proof that is cut', CLIENT_FINAL.slice(0, -8)],
  ['no proof', `c=biws,r=${NONCE}`],
  ['another nonce', CLIENT_FINAL.replace('rOpr', 'rOps')],
  ['the nonce of the client alone', CLIENT_FINAL.replace(NONCE, 'rOprNGfwEbeRWgbNEkqO')],
  ['another channel binding', CLIENT_FINAL.replace('c=biws', 'c=eSws')],
  ['bytes that are no text', '\ud800'],
  ['nothing', ''],
] as const) {
  test(`it ends with ${what}`, () => {
    assert.throws(() => exchange().finish(bytes(final)), ScramError)
  })
}

for (const [what, first] of [
  ['channel binding', 'p=tls-unique,,n=user,r=abc'],
  ['no nonce', 'n,,n=user'],
  ['an empty nonce', 'n,,n=user,r='],
  ['a nonce with a comma', 'n,,n=user,r=a\u0001b'],
  ['a nonce without end', `n,,n=user,r=${'x'.repeat(300)}`],
  ['no user', 'n,,r=abc'],
  ['an extension that has to be understood', 'n,,m=x,n=user,r=abc'],
  ['a bad escape in the name', 'n,,n=us=3er,r=abc'],
  ['a name of 2000 bytes', `n,,n=${'x'.repeat(2000)},r=abc`],
  ['a name that acts for another', 'n,a=admin,n=user,r=abc'],
  ['nothing', ''],
] as const) {
  test(`a first message with ${what} is refused`, () => {
    assert.throws(() => readClientFirst(bytes(first)), ScramError)
  })
}

test('commas and equals signs in a name are escaped', () => {
  assert.equal(readClientFirst(bytes('y,,n=a=2Cb=3Dc,r=x')).username, 'a,b=c')
  assert.equal(readClientFirst(bytes('n,a=user,n=user,r=x')).header, 'n,a=user,')
})

test('a user that does not exist gets a salt like everybody, the same each time', () => {
  const secret = bytes('secret of the process')
  const first = inventedKeys(secret, 'nobody', 4096)
  assert.deepEqual(inventedKeys(secret, 'nobody', 4096), first)
  assert.notDeepEqual(inventedKeys(secret, 'somebody', 4096).salt, first.salt)
  assert.equal(first.salt.length, 16)
})

test('nobody gets in with invented keys, even with the right proof', () => {
  assert.throws(() => exchange(KEYS, false).finish(bytes(CLIENT_FINAL)), /invalid-proof/)
})

test('an exchange whose client went while it was looked up is forgotten', async () => {
  let found: (keys: null) => void = () => undefined
  const users = new ScramUsers({ users: () => new Promise(resolve => (found = resolve)) })
  const verdict = users.begin(1, bytes(CLIENT_FIRST))
  users.abandon(1)
  found(null)
  await verdict
  assert.equal(users.underWay, 0)
})

test('a first message that is wrong leaves nothing behind once its client is gone', async () => {
  const users = new ScramUsers({ users: { user: 'pencil' }, iterations: 4096 })
  assert.equal((await users.begin(1, bytes('rubbish'))).reasonCode, 0x87)
  assert.equal((await users.begin(2, null)).reasonCode, 0x87)
  for (const ticket of [1, 2]) users.abandon(ticket)
  assert.equal(users.underWay, 0)
  assert.equal((await users.finish(3, bytes(CLIENT_FINAL), null)).reasonCode, 0x87)
})
