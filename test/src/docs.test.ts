// The guides say what is: each limit, reason, event and example of the broker is named in its own.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AclFile, DEFAULT_LIMITS } from '@godwit/broker'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DOCS = join(ROOT, 'docs')
const guide = readFileSync(join(DOCS, 'broker.md'), 'utf8')

function sourceOf(path: string): string {
  return readFileSync(join(ROOT, 'packages/broker/src', path), 'utf8')
}

/** What follows a declaration, up to its end. */
function declared(path: string, from: string, to: string): string {
  const [, after = ''] = sourceOf(path).split(from)
  return after.split(to)[0] ?? ''
}

test('the guide of the broker has a row for each limit', () => {
  for (const name of Object.keys(DEFAULT_LIMITS)) {
    assert.ok(guide.includes(`| \`${name}\` |`), name)
  }
})

test('the guide of the broker names each reason for which a message is lost', () => {
  const reasons = declared('core/ledger.ts', 'export const DROP_REASONS =', '\n\n').match(
    /'[a-z-]+'/g,
  )
  assert.ok(reasons !== null && reasons.length > 10)
  for (const reason of reasons) assert.ok(guide.includes(`\`${reason.slice(1, -1)}\``), reason)
})

test('the guide of the broker names each event', () => {
  const events = declared('events.ts', 'interface BrokerEvents {', '\n}').match(/^ {2}(\w+):/gm)
  assert.ok(events !== null && events.length > 8)
  for (const event of events) assert.ok(guide.includes(`\`${event.trim().slice(0, -1)}\``), event)
})

test('the ACL file of the guide of the broker can be copied', context => {
  const [block = ''] = /(?<=^```\n)# Before the first user[^`]*/m.exec(guide) ?? []
  const folder = mkdtempSync(join(tmpdir(), 'godwit-docs-'))
  context.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'acl'), block)
  const acl = new AclFile(join(folder, 'acl'))
  assert.equal(acl.ruleCount, 7)
  const ann = { clientId: 'c1', username: 'ann' }
  assert.ok(acl.mayReceive(ann, 'home/lamp') && !acl.mayReceive(ann, 'home/safe/key'))
  assert.ok(acl.mayPublish(ann, 'sensors/c1/x') && !acl.mayPublish(ann, 'sensors/c2/x'))
})

test('the guide of the broker leads to each of its examples', () => {
  for (const name of readdirSync(join(ROOT, 'examples/broker'))) {
    assert.ok(guide.includes(`examples/broker/${name}`), name)
  }
})

for (const name of readdirSync(DOCS).filter(file => file.endsWith('.md'))) {
  test(`every relative link of docs/${name} leads somewhere`, () => {
    const path = join(DOCS, name)
    for (const [, target = ''] of readFileSync(path, 'utf8').matchAll(
      /\]\(([^)#\s]+)(?:#[^)]*)?\)/g,
    )) {
      if (/^[a-z]+:/.test(target)) continue
      assert.ok(existsSync(join(dirname(path), target)), target)
    }
  })
}
