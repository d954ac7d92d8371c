// The guides say what is: each limit, reason, event and example of the broker is named in its own.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AclFile, DEFAULT_LIMITS } from '@godwit/broker'
import { transform } from 'esbuild'
import { run } from './support/run.ts'

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

for (const [name, said] of [
  ['README.md', /^north 21\.5\n$/],
  ['packages/broker/README.md', /^listening on mqtt:\/\/127\.0\.0\.1:\d+\n$/],
  ['packages/packet/README.md', /topic: 'site\/1\/temperature'/],
] as const) {
  test(`the program of ${name} runs as it stands, and ends`, async () => {
    const text = readFileSync(join(ROOT, name), 'utf8')
    const [, program = ''] = /^```[jt]s\n([\s\S]*?)^```/m.exec(text) ?? []
    const { code: script } = await transform(program, { loader: 'ts', target: 'node20' })
    const args = ['--input-type=module', '--eval', script]
    const { code, output, errors } = await run(process.execPath, args, { cwd: ROOT })
    assert.equal(code, 0, errors)
    assert.match(output, said)
  })
}

/** Every text that people read, from the root. */
const TEXTS: readonly string[] = [
  ...readdirSync(ROOT).filter(name => name.endsWith('.md')),
  ...readdirSync(DOCS).flatMap(name => (name.endsWith('.md') ? [`docs/${name}`] : [])),
  'docs/benchmarks/README.md',
  ...readdirSync(join(ROOT, 'packages')).map(name => `packages/${name}/README.md`),
]

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  const plain = text.replaceAll(/^```[\s\S]*?^```/gm, '')
  return [...plain.matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => anchorOf(heading))
}

function anchorOf(heading: string): string {
  const words = heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .trim()
    .toLowerCase()
  return words.replaceAll(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-')
}

for (const name of TEXTS) {
  test(`every relative link of ${name} leads somewhere, its anchor too`, () => {
    const path = join(ROOT, name)
    const text = readFileSync(path, 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [file = '', anchor] = target.split('#')
      const there = file === '' ? path : join(dirname(path), file)
      assert.ok(existsSync(there), target)
      if (anchor === undefined) continue
      assert.ok(anchorsOf(readFileSync(there, 'utf8')).includes(anchor), target)
    }
  })
}

test('a guide of six parts or more begins with a list of them', () => {
  const long = readdirSync(DOCS).filter(name => {
    if (!name.endsWith('.md')) return false
    const text = readFileSync(join(DOCS, name), 'utf8')
    const parts = [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^## (.*)$/gm)]
    if (parts.length < 6) return false
    const [beginning = ''] = text.split('\n## ')
    for (const [, heading = ''] of parts) {
      assert.ok(beginning.includes(`](#${anchorOf(heading)})`), `${name}: ${heading}`)
    }
    return true
  })
  assert.ok(long.length >= 5, `${long}`)
})

test('an anchor is what GitHub makes of a heading', () => {
  assert.deepEqual(anchorsOf('# A `b` c?\n```\n# no\n```\n## From [x](y), to_z\n'), [
    'a-b-c',
    'from-x-to_z',
  ])
})
