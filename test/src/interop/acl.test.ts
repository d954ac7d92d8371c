// One ACL file at Godwit and at Mosquitto: who may publish what, and who gets what, is the same.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { PacketType } from '@godwit/packet'
import { untilListening } from '../support/listening.ts'
import { publishPacket, RawClient } from '../support/raw-client.ts'
import { serve } from '../support/served.ts'
import { skipWithout } from '../support/skip.ts'

const MOSQUITTO = '/usr/sbin/mosquitto'

const ACL = `# Who gives no name:
topic read news/#
topic read end
topic anonymous

user admin
topic write #
topic read end

user ann
topic home/#
topic deny home/+/secret
topic read home/cellar/secret
topic write to/bob
topic read with space/#
topic read  two  spaces
topic read end
user bob
topic write home/ann/secret
topic readwrite both
topic read to/bob
topic deny of/bob/denied
user +
topic read end
topic mine
  user  ann
topic later
pattern read end
pattern write in/%c/#
pattern of/%u/#
pattern both/%u/%c
pattern x%cy
pattern deny in/%c/denied
pattern deny home/denied-to-all
pattern read %u
`

const Clients: readonly [clientId: string, username: string | null][] = [
  ['c1', 'ann'],
  ['c2', 'bob'],
  ['c3', null],
  ['c4', 'carol'],
  ['+', 'ann'],
  ['c6', '+'],
  ['a/b', 'bob'],
  ['%u', 'bob'],
]

const TOPICS = [
  ...['news/a', 'news', 'anonymous', 'home/a', 'home', 'home/ann/secret', 'home/cellar/secret'],
  ...['home/denied-to-all', 'to/bob', 'to', 'with space/x', 'two  spaces', 'both', 'later', 'mine'],
  ...['in/c1/x', 'in/c1', 'in/c2/x', 'in/c2/denied', 'in/a/b/x', 'in/a', 'in/%u/x', 'in/bob/x'],
  ...['of/bob', 'of/bob/x', 'of/bob/denied', 'of/ann/x', 'of/%u/x', 'of//x'],
  ...['both/bob/c2', 'both/bob/c1', 'both/bob/bob', 'xc1y', 'xc2y', 'xcy', 'ann', 'bob', '%u'],
]

async function come(socket: string, clientId: string, username: string | null): Promise<RawClient> {
  const client = new RawClient(connect(socket))
  assert.equal((await client.connect({ clientId, username })).reasonCode, 0)
  return client
}

/** What each client may publish and gets of all, one line each. */
async function rightsAt(socket: string): Promise<string[]> {
  const admin = await come(socket, 'admin', 'admin')
  const lines: string[] = []
  for (const [clientId, username] of Clients) {
    const client = await come(socket, clientId, username)
    const name = `${clientId}, ${username ?? 'without a name'}`
    for (const [index, topic] of TOPICS.entries()) {
      client.send(publishPacket(topic, '', { qos: 1, packetId: index + 1 }))
      const { reasonCode } = await client.expect(PacketType.PUBACK)
      lines.push(`${name}: publishes ${topic}: ${reasonCode === 0x87 ? 'no' : 'yes'}`)
    }
    await client.subscribe('#')
    for (const topic of [...TOPICS, 'end']) admin.send(publishPacket(topic, 'm'))
    for (let topic = ''; topic !== 'end'; ) {
      topic = (await client.message()).replace(/ m$/, '')
      lines.push(`${name}: gets ${topic}`)
    }
    client.destroy()
  }
  admin.destroy()
  return lines
}

async function startMosquitto(context: TestContext, folder: string): Promise<string> {
  writeFileSync(
    join(folder, 'conf'),
    'listener 0 ./mosquitto\nallow_anonymous true\nacl_file ./acl\n',
  )
  const broker: ChildProcess = spawn(MOSQUITTO, ['-c', 'conf'], { stdio: 'ignore', cwd: folder })
  context.after(() => broker.kill())
  const path = join(folder, 'mosquitto')
  await untilListening(broker, { path })
  return path
}

test('an ACL file allows the same at Godwit and at Mosquitto', async context => {
  if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto')) return
  const folder = mkdtempSync(join(tmpdir(), 'godwit-acl-'))
  context.after(() => rmSync(folder, { recursive: true }))
  // Mosquitto gives up its rights when it is started by root.
  chmodSync(folder, 0o777)
  writeFileSync(join(folder, 'acl'), ACL)
  const theirs = await startMosquitto(context, folder)
  const ours = join(folder, 'godwit')
  const served = await serve([
    ...['--data', 'none', '--acl-file', join(folder, 'acl'), '--unix', ours],
  ])
  context.after(() => served.stop('SIGKILL'))
  const [expected, got] = [await rightsAt(theirs), await rightsAt(ours)]
  assert.deepEqual(got, expected)
  for (const word of ['publishes in/c1/x: yes', 'publishes in/c1/x: no', 'gets home/a']) {
    assert.ok(
      expected.some(line => line.endsWith(word)),
      word,
    )
  }
})
