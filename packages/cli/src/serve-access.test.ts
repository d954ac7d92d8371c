// Who may come in where, when listeners have access of their own.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { hashPassword } from '@godwit/broker'
import { parseConfig } from './config-file.ts'
import { AccessSet, hooksOf } from './serve-access.ts'
import { applyFlags, type ServeFlags } from './serve-flags.ts'
import { fileOf, noting } from './testing/access-file.ts'
import { type Comer, comer } from './testing/comer.ts'

function accessOf(yaml: string, flags: ServeFlags = {}): AccessSet {
  return new AccessSet(applyFlags(parseConfig(yaml, 'x.yaml').config, flags))
}

/** @returns whether it comes in, or the user name that it has then */
async function comes(access: AccessSet, who: Comer): Promise<boolean | string> {
  const answer = await access.authenticate(comer(who))
  if (typeof answer === 'object') return answer.reasonCode === 0 ? (answer.username ?? true) : false
  return answer === true || answer === 0
}

test('without a word everybody comes in and nobody is asked', () => {
  assert.deepEqual(hooksOf(accessOf(''), false), {})
  assert.deepEqual(Object.keys(hooksOf(accessOf(''), true)), ['authenticate'])
  assert.deepEqual(Object.keys(hooksOf(accessOf('payloadBytesMax: 5'), false)), ['publish'])
})

test('allowAnonymous: false without a password file lets nobody in', async () => {
  const access = accessOf('allowAnonymous: false')
  assert.equal(await comes(access, {}), false)
  assert.equal(await comes(access, { username: 'ann', password: 'a' }), false)
  assert.equal(await comes(accessOf('allowAnonymous: true'), { username: 'ann' }), true)
})

test('a listener has what it says, else what holds for all; flags win', async context => {
  const users = fileOf(context, 'users', `ann:${await hashPassword(Buffer.from('a'), 'sha512')}\n`)
  const guests = fileOf(context, 'guests', 'topic read news\n')
  const yaml = `passwordFile: ${users}
listeners:
  - {}
  - { name: guests, passwordFile: none, allowAnonymous: true, aclFile: ${guests} }
  - { name: both, allowAnonymous: true }
  - { name: devices, passwordFile: none, certificateUserNames: subject }
`
  const access = accessOf(yaml)
  const ann = { username: 'ann', password: 'a' }
  assert.equal(await comes(access, {}), false)
  assert.equal(await comes(access, ann), true)
  assert.equal(await comes(access, { listener: 'guests' }), true)
  assert.equal(await comes(access, { listener: 'guests', username: 'ann', password: 'x' }), true)
  assert.equal(await comes(access, { listener: 'both' }), true)
  assert.equal(await comes(access, { listener: 'both', username: 'ann', password: 'x' }), false)
  assert.equal(await comes(access, { listener: 'devices', ...ann }), false)
  assert.equal(await comes(access, { listener: 'devices', commonName: 'd' }), 'CN=d')
  const guest = comer({ listener: 'guests' })
  assert.deepEqual(
    [access.mayReceive(guest, 'news'), access.mayPublish(guest, 'news')],
    [true, false],
  )
  assert.equal(access.mayPublish(comer({}), 'news'), true)
  const flagged = accessOf(yaml, { passwordFile: users })
  assert.equal(await comes(flagged, { listener: 'devices', ...ann }), true)
})

test('a will of before a restart goes out where somebody might still send it', context => {
  const none = fileOf(context, 'none', 'topic read news\n')
  const all = fileOf(context, 'all', 'topic news\n')
  const listener = (name: string, file: string): string => `{ name: ${name}, aclFile: ${file} }`
  const origin = { ...comer({}).origin, transport: 'unknown', listener: '' } as const
  const will = { ...comer({}), origin }
  const mayPublish = (...listeners: string[]): boolean =>
    accessOf(`listeners: [${listeners.join(', ')}]`).mayPublish(will, 'news')
  assert.equal(mayPublish(listener('a', none), listener('b', none)), false)
  assert.equal(mayPublish(listener('a', none), listener('b', all)), true)
  assert.equal(mayPublish(listener('a', none), '{}'), true)
})

test('client ids that begin otherwise do not come in', async () => {
  const access = accessOf('clientIdPrefix: plant-')
  assert.equal(await comes(access, { clientId: 'plant-1' }), true)
  assert.equal(await comes(access, { clientId: 'plan' }), false)
})

test('a payload of the limit passes, one byte more does not', () => {
  const access = accessOf('payloadBytesMax: 5')
  assert.equal(access.publish(new Uint8Array(5)), undefined)
  assert.equal(access.publish(new Uint8Array(6)), 0x83)
})

test('files that several listeners have are read and told once', context => {
  const file = fileOf(context, 'acl', 'user ann\ntopic a\n')
  const log = noting()
  const yaml = `aclFile: ${file}\nlisteners: [{ name: a, aclFile: ${file}, allowAnonymous: false }]`
  accessOf(yaml).tell(log)
  assert.equal(log.lines.length, 2)
  assert.match(log.lines[1] ?? '', /^warn nobody checks the user names/)
})

test('another choice is taken over as a whole, or not at all', async () => {
  const access = accessOf('allowAnonymous: false')
  const config = applyFlags(parseConfig('aclFile: /nowhere/acl', 'x.yaml').config, {})
  assert.throws(() => access.replace(config), /cannot be read/)
  assert.equal(await comes(access, {}), false)
  access.replace(applyFlags(parseConfig('', 'x.yaml').config, {}))
  assert.equal(await comes(access, {}), true)
})

test('a listener that another choice does not know stays as it was', async context => {
  const file = fileOf(context, 'users', '')
  const before = `passwordFile: ${file}\nlisteners: [{ name: a }, { name: b, passwordFile: none }]`
  const access = accessOf(before)
  const config = applyFlags(parseConfig('listeners: [{ name: a }]', 'x.yaml').config, {})
  access.replace(config, ['b', 'c'])
  const ann = { username: 'ann', password: 'a' }
  assert.equal(await comes(access, { listener: 'a' }), true)
  assert.equal(await comes(access, { listener: 'b' }), true)
  assert.equal(await comes(access, { listener: 'c' }), false)
  assert.equal(await comes(access, { listener: 'c', ...ann }), false)
  writeFileSync(file, `ann:${await hashPassword(Buffer.from('a'), 'sha512')}\n`)
  access.reload(noting())
  assert.equal(await comes(access, { listener: 'c', ...ann }), true)
  access.replace(config, ['c'])
  assert.equal(await comes(access, { listener: 'c' }), false)
  access.replace(config)
  assert.equal(await comes(access, { listener: 'c' }), true)
})

test('users of SCRAM keep others out where no listener says otherwise', async context => {
  const file = fileOf(context, 'users', '')
  const access = accessOf(`scram: { users: { ann: secret } }
listeners: [{}, { name: a, passwordFile: ${file} }, { name: b, allowAnonymous: true }]`)
  const [anywhere, a, b] = [{}, { listener: 'a' }, { listener: 'b' }]
  assert.equal(await comes(access, anywhere), false)
  assert.equal(await comes(access, { username: 'ann', password: 'secret' }), false)
  assert.equal(await comes(access, a), false)
  assert.equal(await comes(access, b), true)
})
