// ACL files in Mosquitto's format: what each line allows whom, and what is refused as a file.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AclFile, AclFileError } from './acl-file.ts'

const ANN = { clientId: 'c1', username: 'ann' }
const BOB = { clientId: 'c2', username: 'bob' }
const NOBODY = { clientId: 'c3', username: null }

/** What it remembers of a client. */
interface Inside {
  rulesOf(client: typeof ANN): { readonly decided: ReadonlyMap<string, number> }
}

function write(context: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'acl')
  writeFileSync(path, text)
  return path
}

/** `r`, `w`, `rw` or nothing. */
function rights(acl: AclFile, client: typeof ANN | typeof NOBODY, topic: string): string {
  const read = acl.mayReceive(client, topic) ? 'r' : ''
  return `${read}${acl.mayPublish(client, topic) ? 'w' : ''}`
}

test('lines before the first user are for who gives no name, and only for them', context => {
  const acl = new AclFile(write(context, 'topic read news/#\nuser ann\ntopic a/b\n'))
  assert.equal(rights(acl, NOBODY, 'news/x'), 'r')
  assert.equal(rights(acl, ANN, 'news/x'), '')
  assert.equal(rights(acl, ANN, 'a/b'), 'rw')
  assert.equal(rights(acl, NOBODY, 'a/b'), '')
  assert.equal(rights(acl, BOB, 'a/b'), '')
  assert.equal(acl.ruleCount, 2)
})

test('read, write, readwrite and nothing say which way', context => {
  const lines = ['user ann', 'topic read r', 'topic write w', 'topic readwrite rw', 'topic n']
  const acl = new AclFile(write(context, lines.join('\n')))
  const all = ['r', 'w', 'rw', 'n', 'x'].map(topic => rights(acl, ANN, topic))
  assert.deepEqual(all, ['r', 'w', 'rw', 'rw', ''])
})

test('deny comes before what allows, wherever it stands in the file', context => {
  const acl = new AclFile(write(context, 'user ann\ntopic a/#\ntopic deny a/secret/#\n'))
  assert.equal(rights(acl, ANN, 'a/b'), 'rw')
  assert.equal(rights(acl, ANN, 'a/secret/b'), '')
  assert.equal(rights(acl, ANN, 'a/secret'), '')
})

test('a pattern is for everybody, with the client identifier or the user name in it', context => {
  const text = 'pattern write in/%c/#\npattern read out/%u/+\npattern read both/%u-%c\n'
  const acl = new AclFile(write(context, text))
  assert.equal(rights(acl, ANN, 'in/c1/x'), 'w')
  assert.equal(rights(acl, ANN, 'in/c2/x'), '')
  assert.equal(rights(acl, BOB, 'in/c2'), 'w')
  assert.equal(rights(acl, ANN, 'out/ann/x'), 'r')
  assert.equal(rights(acl, BOB, 'out/ann/x'), '')
  assert.equal(rights(acl, ANN, 'both/ann-c1'), 'r')
})

test('without a user name a pattern with %u is no pattern', context => {
  const acl = new AclFile(write(context, 'pattern u/%u/#\npattern c/%c\n'))
  assert.equal(rights(acl, NOBODY, 'u//x'), '')
  assert.equal(rights(acl, NOBODY, 'u/x'), '')
  assert.equal(rights(acl, NOBODY, 'c/c3'), 'rw')
})

test('an empty user name is none, as with Mosquitto', context => {
  const acl = new AclFile(write(context, 'topic news\npattern u%u/x\npattern c/%c\n'))
  const client = { clientId: 'c4', username: '' }
  assert.equal(rights(acl, client, 'news'), 'rw')
  assert.equal(rights(acl, client, 'u/x'), '')
  assert.equal(rights(acl, client, 'c/c4'), 'rw')
})

test('a name with a wildcard or a placeholder opens nothing that is not its own', context => {
  const acl = new AclFile(write(context, 'pattern t/%c/%u\npattern all\nuser +\ntopic mine\n'))
  for (const [clientId, username] of [
    ['+', 'ann'],
    ['c1', '#'],
    ['+', null],
  ] as const) {
    const client = { clientId, username }
    assert.equal(rights(acl, client, 't/c1/ann'), '', clientId)
    assert.equal(rights(acl, client, 'all'), '', clientId)
  }
  assert.equal(rights(acl, { clientId: 'c', username: '+' }, 'mine'), 'rw')
  assert.equal(rights(acl, { clientId: '%u', username: 'ann' }, 't/ann/ann'), '')
  assert.equal(rights(acl, { clientId: '%u', username: 'ann' }, 't/%u/ann'), 'rw')
  assert.equal(rights(acl, { clientId: '$&', username: 'ann' }, 't/$&/ann'), 'rw')
})

test('a wildcard at the beginning does not reach $SYS, a line of its own does', context => {
  const acl = new AclFile(write(context, 'user ann\ntopic #\nuser bob\ntopic read $SYS/#\n'))
  assert.equal(rights(acl, ANN, '$SYS/broker/uptime'), '')
  assert.equal(rights(acl, BOB, '$SYS/broker/uptime'), 'r')
  assert.equal(rights(acl, BOB, 'a'), '')
})

test('spaces, comments, empty lines and CRLF are as in Mosquitto', context => {
  const text = '# topic all\r\n\r\nuser ann smith\r\n topic read  a b/c \r\n'
  const acl = new AclFile(write(context, text))
  const client = { clientId: 'c', username: 'ann smith' }
  assert.equal(rights(acl, client, 'a b/c'), 'r')
  assert.equal(rights(acl, client, 'all'), '')
  assert.equal(acl.ruleCount, 1)
})

test('all wrong lines are told with their numbers, and none is left out in silence', context => {
  const lines = ['topic', 'topic red a', 'user', 'subject x', 'pattern read a/#/b', 'topic ok']
  const path = write(context, lines.join('\n'))
  assert.throws(
    () => new AclFile(path),
    (error: unknown) => {
      assert.ok(error instanceof AclFileError)
      assert.deepEqual(error.problems, [
        `${path}:1: expected a topic`,
        `${path}:2: expected one of read, write, readwrite, deny before "a", got red`,
        `${path}:3: expected a name after user`,
        `${path}:4: expected user, topic or pattern, got "subject"`,
        `${path}:5: not a topic filter: "a/#/b"`,
      ])
      return true
    },
  )
})

test('a line with a separator of Unicode or a lone CR in it is a line as well', context => {
  const text = 'user ann\ntopic #\ntopic deny a/\u2028b\nuser bob\u2029\rx\ntopic secret\n'
  const acl = new AclFile(write(context, text))
  assert.equal(acl.ruleCount, 3)
  assert.equal(rights(acl, ANN, 'a/\u2028b'), '')
  assert.equal(rights(acl, { clientId: 'c', username: 'bob\u2029\rx' }, 'secret'), 'rw')
  const path = write(context, 'user ann\ntopic \u2028 a/#/b\ntopic\ra/#/c\n')
  assert.throws(
    () => new AclFile(path),
    (error: unknown) => error instanceof AclFileError && error.problems.length === 2,
  )
})

test('a client that publishes long topics fills no memory with decisions', context => {
  const acl = new AclFile(write(context, 'pattern write %c/#\n'))
  const { decided } = (acl as unknown as Inside).rulesOf(ANN)
  for (let i = 0; i < 10; i++) {
    assert.equal(acl.mayPublish(ANN, `c1/${'x'.repeat(60_000)}${i}`), true)
    assert.equal(acl.mayPublish(ANN, `c2/${'x'.repeat(60_000)}${i}`), false)
  }
  assert.equal(decided.size, 0)
  assert.equal(acl.mayPublish(ANN, 'c1/x'), true)
  assert.equal(decided.size, 1)
})

test('what was decided is the same when it is asked again, of however many topics', context => {
  const lines = ['user ann', 'topic read a/+', 'topic write b/+', 'topic deny a/7', 'topic c/+']
  const acl = new AclFile(write(context, lines.join('\n')))
  const expected = (topic: string): string => {
    if (topic === 'a/7' || topic.startsWith('d')) return ''
    return { a: 'r', b: 'w', c: 'rw' }[topic.slice(0, 1)] ?? ''
  }
  const topics = ['a', 'b', 'c', 'd'].flatMap(level =>
    Array.from({ length: 50 }, (_none, i) => `${level}/${i}`),
  )
  for (const topic of [...topics, ...topics.toReversed(), 'a/7', 'a/7']) {
    assert.equal(rights(acl, ANN, topic), expected(topic), topic)
    assert.equal(rights(acl, ANN, topic), expected(topic), topic)
  }
})

test('what is read again holds for those who are there, a wrong file changes nothing', context => {
  const path = write(context, 'user ann\ntopic a\n')
  const acl = new AclFile(path)
  assert.equal(rights(acl, ANN, 'a'), 'rw')
  writeFileSync(path, 'user ann\ntopic read a\n')
  acl.reload()
  assert.equal(rights(acl, ANN, 'a'), 'r')
  writeFileSync(path, 'topik a\n')
  assert.throws(() => acl.reload(), AclFileError)
  assert.equal(rights(acl, ANN, 'a'), 'r')
  rmSync(path)
  assert.throws(() => acl.reload(), /ENOENT/)
  assert.equal(rights(acl, ANN, 'a'), 'r')
})

test('whether user names matter is known, for a warning where nobody checks them', context => {
  assert.equal(new AclFile(write(context, 'topic a\npattern %c/a\n')).hasUsers, false)
  assert.equal(new AclFile(write(context, 'user ann\ntopic a\n')).hasUsers, true)
  assert.equal(new AclFile(write(context, 'pattern %u/a\n')).hasUsers, true)
})
