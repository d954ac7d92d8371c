// Exports and imports: every record comes back as it was, whatever bytes it has, and a file that is
// not an export is refused with line and field, before anything has changed.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { encodePacket, PacketType, type PublishPacket } from '@godwit/packet'
import { InflightState, type Store } from '../core/ports.ts'
import { type DiskStore, openDiskStore } from './disk.ts'
import { StoreError, type StoreErrorCode } from './errors.ts'
import { Database } from './sqlite.ts'
import { exportStore, importStore } from './transfer.ts'

const SMALL = { segmentBytes: 64 * 1024, checkpointBytes: 100 * 1024 }
const TABLES = [
  ...['session', 'subscription', 'message', 'retained', 'will', 'share_group'],
  ...['queue', 'group_queue', 'received', 'shared_message'],
]

function temporaryDirectory(context: TestContext): string {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'godwit-transfer-'))
  context.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function open(directory: string): Promise<DiskStore> {
  const owner = { durable: () => undefined, failed: () => undefined, fetched: () => undefined }
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  return openDiskStore({ directory, ...SMALL }, owner, log)
}

function publish(packet: Partial<PublishPacket>, level: 4 | 5): Uint8Array {
  const type = PacketType.PUBLISH
  const usual = { topic: 't', payload: new Uint8Array(0), retain: false, dup: false }
  const { qos = 1 } = packet
  const packetId = qos === 0 ? 0 : 1
  return encodePacket({ type, ...usual, qos, properties: {}, packetId, ...packet }, level)
}

const EveryByte = Uint8Array.from({ length: 256 }, (_, i) => i)
const Frames: readonly (readonly [level: 4 | 5, frame: Uint8Array])[] = [
  [4, publish({ topic: 'a/b', payload: Buffer.from('text, "quoted"\n\u0000 und Ümläute') }, 4)],
  [5, publish({ topic: 'a', payload: EveryByte, qos: 2 }, 5)],
  [
    5,
    publish(
      {
        topic: 'all/properties',
        properties: {
          payloadFormatIndicator: 1,
          contentType: 'text/plain',
          responseTopic: 'answer',
          correlationData: EveryByte,
          userProperties: [
            ['k', 'v'],
            ['k', 'w'],
          ],
        },
      },
      5,
    ),
  ],
  // A packet identifier that this program does not write, and properties in another order.
  [4, Uint8Array.of(0x32, 6, 0, 1, 0x78, 7, 9, 0xff)],
  [5, Uint8Array.of(0x32, 12, 0, 1, 0x78, 0, 1, 6, 3, 0, 1, 0x61, 1, 1, 0x40)],
  [4, publish({ topic: 'retained', retain: true, qos: 0 }, 4)],
]

/** One of everything, in what a broker would have written. */
function fillSessions(store: Store): void {
  const session = { protocolLevel: 5, sessionExpirySeconds: 0xffff_ffff } as const
  store.putSession({ ...session, id: 1, clientId: 'one', disconnectedAtMs: 1_700_000_000_123 })
  store.putSession({
    ...session,
    id: 7,
    clientId: 'zwö "7"',
    disconnectedAtMs: 5,
    protocolLevel: 3,
  })
  store.putSubscription({
    sessionId: 1,
    filter: 'a/#',
    options: 0b01_1110,
    identifier: 268_435_455,
  })
  store.putSubscription({ sessionId: 1, filter: '$share/g/x/+', options: 0b10_0001, identifier: 0 })
  store.putSubscription({ sessionId: 7, filter: 'a/#', options: 0, identifier: 0 })
  store.putGroup(3, 'g', 'x/+')
  store.putReceived(1, 65_535)
  store.putReceived(7, 1)
}

function fillMessages(store: Store): void {
  for (const [index, [protocolLevel, frame]] of Frames.entries()) {
    const expiresAtMs = index === 1 ? 1_800_000_000_456 : 0
    store.putMessage({ id: index + 10, frame, protocolLevel, expiresAtMs, publisher: `p${index}` })
  }
  const delivery = (ownerId: number, sequence: number, messageId: number, flags = 1) => {
    const byteLength = Frames[messageId - 10]?.[1].length ?? 0
    const identifiers = sequence === 2 ? [1, 268_435_455] : null
    return { ownerId, sequence, messageId, flags, identifiers, byteLength }
  }
  store.putDelivery(delivery(1, 1, 10))
  store.putDelivery(delivery(1, 2, 11, 2 | 4))
  store.putDelivery(delivery(1, 3, 12))
  store.putDelivery(delivery(1, 5, 13, 2))
  store.putDelivery(delivery(7, 1, 10))
  store.putInflight(1, 9, 1, InflightState.QOS_1_SENT)
  store.putInflight(1, 10, 2, InflightState.QOS_2_SENT)
  store.putInflight(1, 65_535, 5, InflightState.RELEASED)
  store.putGroupDelivery(delivery(3, 4, 10))
  store.putRetained('retained', 15)
  const message = { id: 14, frame: new Uint8Array(0), protocolLevel: 5, publisher: '' } as const
  store.putWill({
    sessionId: 7,
    message: { ...message, expiresAtMs: 0 },
    delaySeconds: 30,
    expirySeconds: -1,
    fireAtMs: 1_900_000_000_000,
    user: { username: 'ann' },
  })
}

async function filled(directory: string): Promise<void> {
  const store = await open(directory)
  fillSessions(store)
  fillMessages(store)
  store.commit()
  await store.close()
}

function rowsOf(directory: string): Record<string, unknown[]> {
  const database = new Database(join(directory, 'state.db'))
  const all = TABLES.map(table => [table, database.query(`SELECT * FROM ${table}`)] as const)
  database.close()
  return Object.fromEntries(all)
}

async function exported(directory: string): Promise<string[]> {
  const lines: string[] = []
  await exportStore({ directory, write: line => void lines.push(line) })
  return lines
}

function assertCode(code: StoreErrorCode, text: RegExp): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof StoreError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, text)
    return true
  }
}

test('every record comes back as it was, record by record', async context => {
  const [from, to] = [temporaryDirectory(context), temporaryDirectory(context)]
  await filled(from)
  const before = rowsOf(from)
  for (const table of TABLES) assert.notEqual(before[table]?.length, 0, `${table} has records`)
  const lines = await exported(from)
  assert.equal(await importStore({ directory: to, lines }), lines.length - 2)
  assert.deepEqual(rowsOf(to), before)
  const again = await exported(to)
  assert.deepEqual(again.slice(1), lines.slice(1))
})

test('what a broker reads after an import it can change and keep', async context => {
  const [from, to] = [temporaryDirectory(context), temporaryDirectory(context)]
  await filled(from)
  await importStore({ directory: to, lines: await exported(from) })
  for (const directory of [from, to]) {
    const store = await open(directory)
    store.removeDelivery(1, 1)
    store.removeRetained('retained')
    store.removeSession(7)
    store.commit()
    await store.close()
  }
  assert.deepEqual(rowsOf(to), rowsOf(from))
})

test('people can read an export: texts as texts, bytes in base64', async context => {
  const directory = temporaryDirectory(context)
  await filled(directory)
  const lines = (await exported(directory)).map(line => JSON.parse(line))
  assert.deepEqual(lines[0], { type: 'godwit-export', version: 2, at: lines[0].at })
  const messages = lines.filter(line => line.type === 'message')
  assert.equal(messages[0].payload, 'text, "quoted"\n\u0000 und Ümläute')
  assert.equal(messages[1].payloadBase64, Buffer.from(EveryByte).toString('base64'))
  assert.deepEqual(messages[2].properties.userProperties[1], ['k', 'w'])
  assert.equal(messages[3].frameBase64, Buffer.from(Frames[3]?.[1] ?? []).toString('base64'))
  const subscription = lines.find(line => line.type === 'subscription' && line.identifier > 0)
  assert.deepEqual(subscription, {
    ...{ type: 'subscription', session: 1, filter: 'a/#', identifier: 268_435_455 },
    ...{ qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 1 },
  })
  assert.deepEqual(lines.at(-1), { type: 'end', records: lines.length - 2 })
})

test('an import into a store that is not empty is refused, unless it may replace it', async t => {
  const [from, to] = [temporaryDirectory(t), temporaryDirectory(t)]
  await filled(from)
  const lines = await exported(from)
  const store = await open(to)
  store.putSession({
    ...{ id: 99, clientId: 'was here', protocolLevel: 4, sessionExpirySeconds: 1 },
    disconnectedAtMs: 1,
  })
  store.commit()
  // Nothing of it is in the database yet: only the log has it.
  await store.terminate()
  const refused = importStore({ directory: to, lines })
  await assert.rejects(refused, assertCode('not-empty', /is not empty/))
  assert.equal(rowsOf(to)['session']?.length, 1)
  await importStore({ directory: to, lines, replace: true })
  assert.deepEqual(rowsOf(to), rowsOf(from))
  await (await open(to)).close()
  assert.deepEqual(rowsOf(to), rowsOf(from))
})

test('a directory that is in use is neither exported nor imported into', async context => {
  const directory = temporaryDirectory(context)
  await filled(directory)
  const lines = await exported(directory)
  const store = await open(directory)
  await assert.rejects(exported(directory), assertCode('locked', /in use by process/))
  const imported = importStore({ directory, lines, replace: true })
  await assert.rejects(imported, assertCode('locked', /in use by process/))
  await store.close()
})

test('a directory without a store has nothing to export', async context => {
  const directory = temporaryDirectory(context)
  await assert.rejects(exported(directory), assertCode('io', /there is no store in/))
})

test('a database that is none is damage, to a broker and to an export', async context => {
  const directory = temporaryDirectory(context)
  await filled(directory)
  fs.rmSync(join(directory, 'state.db-wal'), { force: true })
  fs.writeFileSync(join(directory, 'state.db'), 'no database '.repeat(30_000))
  await assert.rejects(open(directory), assertCode('corrupt', /state\.db is damaged at offset 0/))
  fs.rmSync(join(directory, 'state.db.sums'))
  const said = assertCode('corrupt', /state\.db cannot be used: file is not a database/)
  await assert.rejects(open(directory), said)
  await assert.rejects(exported(directory), said)
})

test('a file where the directory should be is named', async context => {
  const file = join(temporaryDirectory(context), 'file')
  fs.writeFileSync(file, '')
  await assert.rejects(open(file), assertCode('io', /file cannot hold a store: ENOTDIR/))
})

const Wrong: readonly (readonly [name: string, find: RegExp, text: string, error: RegExp])[] = [
  ['is no JSON', /"clientId":"one"/, '{"type":', /^line 2: no JSON: /],
  ['is no object', /"clientId":"one"/, '[1]', /^line 2: expected an object, got \[1\]/],
  [
    'has a field too few',
    /"clientId":"one"/,
    '{"type":"session","id":1}',
    /^line 2: field "clientId": expected a text, got nothing/,
  ],
  [
    'is of an unknown type',
    /"clientId":"one"/,
    '{"type":"sesion"}',
    /^line 2: type "sesion" is unknown/,
  ],
]

for (const [name, find, text, error] of Wrong) {
  test(`a line that ${name} is refused with its number`, async context => {
    const lines = await linesOf(context)
    const at = lines.findIndex(line => find.test(line))
    const changed = lines.with(at, text)
    await assertRefused(context, changed, error)
  })
}

const WrongFields: readonly (readonly [find: RegExp, from: RegExp, to: string, error: RegExp])[] = [
  [/"session"/, /"protocolLevel":5/, '"protocolLevel":6', /field "protocolLevel": expected 3 or 4/],
  [/"session"/, /"id":1/, '"id":1.5', /field "id": expected a whole number from 1 .*, got 1\.5/],
  [/"subscription"/, /"qos":2/, '"qos":3', /field "qos": expected 0 or 1 or 2, got 3/],
  [/"a\/#"/, /a\/#/, 'a/#/b', /field "filter": expected a topic filter, got "a\/#\/b"/],
  [/"subscription"/, /"session":1/, '"session":2', /field "session": expected a session that came/],
  [/"message"/, /"topic":"a\/b"/, '"topic":"a/+"', /field "topic": expected a topic name/],
  [/payloadBase64/, /"AAEC/, '"*', /field "payloadBase64": expected bytes in base64/],
  [/"properties"/, /"contentType"/, '"contenType"', /field "properties": /],
  [/"message"/, /"publisher"/, '"publisher_"', /field "publisher": expected a text, got nothing/],
  [/"delivery"/, /"retain":/, '"more":1,"retain":', /field "more" is unknown/],
  [/"delivery"/, /"message":10/, '"message":9', /field "message": expected a message that came/],
  [/"qos1-sent"/, /qos1-sent/, 'sent', /field "state": expected waiting or qos1-sent/],
  [
    /"qos1-sent"/,
    /"packetId":9/,
    '"packetId":0',
    /a packet identifier \(0\) has what is under way/,
  ],
  [/"qos1-sent"/, /"packetId":9/, '"packetId":10', /packet identifier 10 of session 1 came twice/],
  [/"retained"/, /"topic":"retained"/, '"topic":"x"', /field "topic": expected that of message 15/],
  [/"received"/, /"packetId":1\b/, '"packetId":0', /field "packetId": expected .* from 1 to 65535/],
  [/"end"/, /"records":\d+/, '"records":1', /field "records": expected \d+, that came, got 1/],
  [/godwit-export/, /"version":2/, '"version":3', /version 3 is newer than 2/],
]

for (const [find, from, to, error] of WrongFields) {
  test(`an export with ${to} instead of ${from.source} is refused`, async context => {
    const lines = await linesOf(context)
    const at = lines.findLastIndex(line => find.test(line) && from.test(line))
    assert.notEqual(at, -1)
    const changed = lines.with(at, (lines[at] ?? '').replace(from, to))
    await assertRefused(context, changed, error)
  })
}

test('an export that is cut off, begins late, or goes on after its end is refused', async t => {
  const lines = await linesOf(t)
  await assertRefused(t, lines.slice(0, -1), /expected a line of type "end": the export is cut off/)
  await assertRefused(t, lines.slice(1), /^line 1: expected an export/)
  await assertRefused(
    t,
    [...lines, lines[1] ?? ''],
    /expected nothing after the line of type "end"/,
  )
  await assertRefused(t, [lines[0] ?? '', ...lines], /^line 2: expected an export/)
  await assertRefused(t, [], /the export is cut off/)
})

test('a record that came before is refused', async context => {
  const lines = await linesOf(context)
  const at = lines.findIndex(line => /"subscription"/.test(line))
  const twice = lines.toSpliced(at, 0, lines[at] ?? '')
  await assertRefused(context, twice, /^line \d+: this record cannot be taken, one like it came/)
})

async function linesOf(context: TestContext): Promise<string[]> {
  const directory = temporaryDirectory(context)
  await filled(directory)
  return exported(directory)
}

/** Also: an import that fails leaves what was there. */
async function assertRefused(t: TestContext, lines: string[], error: RegExp): Promise<void> {
  const directory = temporaryDirectory(t)
  await (await open(directory)).close()
  const imported = importStore({ directory, lines })
  await assert.rejects(imported, assertCode('invalid-import', error))
  assert.deepEqual(rowsOf(directory)['session'], [])
  assert.deepEqual(
    fs.readdirSync(directory).filter(name => name.includes('import')),
    [],
  )
}
