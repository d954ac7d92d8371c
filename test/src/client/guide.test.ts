// docs/client.md says what is: every code of an error, every event, every example; and what it says
// shows something is there.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const guide = readFileSync(join(ROOT, 'docs/client.md'), 'utf8')

/** The texts that a type allows. */
function textsOf(file: string, declaration: RegExp): string[] {
  const source = readFileSync(join(ROOT, 'packages/client/src', file), 'utf8')
  const [type = ''] = declaration.exec(source) ?? []
  return [...type.matchAll(/'([a-z-]+)'/g)].map(([, text = '']) => text)
}

test('the guide of the client says when each code of an error comes', () => {
  const codes = textsOf('errors.ts', /type MqttErrorCode =[^\n]*\n(?: {2}\|.*\n)+/)
  assert.ok(codes.length > 20)
  const rows = guide.split('\n').filter(line => line.startsWith('| `'))
  for (const code of codes) {
    const isRow = (row: string): boolean => row.split(' | ')[0]?.includes(`\`${code}\``) === true
    assert.equal(rows.filter(isRow).length, 1, code)
  }
})

test('the guide of the client names each option', () => {
  const code = guide.match(/```[\s\S]*?```|`[^`]+`/g)?.join('\n') ?? ''
  for (const [file, type] of [
    ['options.ts', 'ConnectOptions'],
    ['options.ts', 'ReconnectOptions'],
    ['options.ts', 'OfflineOptions'],
    ['options.ts', 'WillOptions'],
    ['options.ts', 'MessageProperties'],
    ['publisher.ts', 'PublishOptions'],
    ['subscriptions.ts', 'SubscribeOptions'],
    ['subscription.ts', 'BufferOptions'],
  ] as const) {
    const source = readFileSync(join(ROOT, 'packages/client/src', file), 'utf8')
    const [, body = ''] = source.split(new RegExp(`interface ${type}\\b[^{]*{\n`))
    const names = [...(body.split('\n}')[0] ?? '').matchAll(/^ {2}readonly (\w+)/gm)]
    assert.ok(names.length > 0, type)
    for (const [, name] of names) assert.match(code, new RegExp(`\\b${name}\\b`), name)
  }
})

test('the guide of the client names each event', () => {
  const types = textsOf('events.ts', /type ClientEvent =[\s\S]*?\n\n/)
  assert.ok(types.length > 6)
  for (const type of types) assert.ok(guide.includes(type), type)
})

test('the guide of the client names or describes each of its examples', () => {
  const names = readdirSync(join(ROOT, 'examples/client'))
  assert.ok(names.length > 0)
  for (const name of names) assert.ok(guide.includes(`examples/client/${name}`), name)
})

test('each test that the guide of the client names is there', () => {
  const [, table = ''] = guide.split('\n## What users of MQTT.js report')
  const tests = [...table.matchAll(/`([\w/-]+\.test\.ts)`/g)].map(([, name = '']) => name)
  assert.ok(tests.length > 20)
  for (const name of tests) {
    const folder = name.includes('/') ? 'test/src' : 'packages/client/src'
    assert.ok(existsSync(join(ROOT, folder, name)), name)
  }
})
