// Topic names, topic filters, and which matches which.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { topicFilter, topicName } from './testing/arbitraries.ts'
import {
  hasWildcard,
  isTopicFilter,
  isTopicName,
  parseSharedFilter,
  topicMatches,
} from './topic.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

test('a topic name is any text without wildcards [MQTT-4.7.3-1]', () => {
  for (const topic of ['a', '/', '//', ' ', 'a/b', '/a', 'a/', '$SYS/x', 'ü/€', '\ufeff']) {
    assert.equal(isTopicName(topic), true, topic)
  }
})

test('a topic name is not empty and has no wildcard and no U+0000 [MQTT-4.7.0-1]', () => {
  for (const topic of ['', '#', '+', 'a/#', 'a+b', '\0', 'a\0b']) {
    assert.equal(isTopicName(topic), false, topic)
  }
})

test('topic names and filters have at most 65,535 bytes [MQTT-4.7.3-3]', () => {
  for (const [char, bytes] of [
    ['a', 1],
    ['ü', 2],
    ['€', 3],
  ] as const) {
    const longest = char.repeat(Math.floor(65_535 / bytes))
    assert.equal(isTopicName(longest), true)
    assert.equal(isTopicFilter(longest), true)
    assert.equal(isTopicName(longest + char), false)
    assert.equal(isTopicFilter(longest + char), false)
  }
})

test('"#" stands alone or behind "/", and last; "+" fills a level [MQTT-4.7.1-1]', () => {
  const good = ['#', '+', '/#', 'a/#', '+/+', '+/a/#', 'a/+/b', '/+', '+/', 'a//#', '$a/#', 'a/b']
  for (const filter of good) assert.equal(isTopicFilter(filter), true, filter)
  const wrong = [
    '',
    'a#',
    '#/',
    '#/a',
    'a/#/b',
    '##',
    '#+',
    'a+',
    '+a',
    'a/+b',
    'a/b+/c',
    '++',
    '\0',
  ]
  for (const filter of wrong) assert.equal(isTopicFilter(filter), false, filter) // [MQTT-4.7.1-2]
})

test('a shared filter has a share name and a filter [MQTT-4.8.2-1]', () => {
  assert.deepEqual(parseSharedFilter('$share/g/a/+'), { shareName: 'g', filter: 'a/+' })
  assert.deepEqual(parseSharedFilter('$share/g//'), { shareName: 'g', filter: '/' })
  assert.deepEqual(parseSharedFilter('$share/a b/#'), { shareName: 'a b', filter: '#' })
  for (const filter of ['$share/g/#', '$share/ü/a', '$share/g//']) {
    assert.equal(isTopicFilter(filter), true, filter)
  }
})

test('a share name is neither empty nor has wildcards, a filter follows [MQTT-4.8.2-2]', () => {
  const wrong = ['$share/', '$share/g', '$share/g/', '$share//a', '$share/+/a', '$share/#/a']
  for (const filter of [...wrong, '$share/g+/a', '$share/g/a#', '$share/g/#/a']) {
    assert.equal(isTopicFilter(filter), false, filter)
    assert.equal(parseSharedFilter(filter), null, filter)
  }
})

test('what only resembles a shared filter is an ordinary one', () => {
  for (const filter of ['$share', '$shared/g/a', 'share/g/a', '$SHARE/g/a', '/$share/g/a']) {
    assert.equal(isTopicFilter(filter), true, filter)
    assert.equal(parseSharedFilter(filter), null, filter)
  }
})

test('a filter without wildcards names one topic', () => {
  assert.equal(hasWildcard('a/b'), false)
  assert.equal(hasWildcard('a/+'), true)
  assert.equal(hasWildcard('#'), true)
})

const matching: readonly (readonly [filter: string, topic: string])[] = [
  ['a', 'a'],
  ['#', 'a'],
  ['#', '/'],
  ['#', 'a/b/c'],
  ['a/#', 'a'],
  ['a/#', 'a/'],
  ['a/#', 'a/b/c'],
  ['/#', '/a'],
  ['/#', '/'],
  ['+', 'a'],
  ['+/+', '/'],
  ['+/+', '/a'],
  ['/+', '/a'],
  ['/+', '/'],
  ['a/+', 'a/'],
  ['a/+/c', 'a/b/c'],
  ['a/+/c', 'a//c'],
  ['+/#', 'a'],
  ['+/#', 'a/b/c'],
  ['a/+/#', 'a/b'],
  ['$SYS/#', '$SYS/a'],
  ['$SYS/#', '$SYS'],
  ['$SYS/+', '$SYS/a'],
  ['a/$b/#', 'a/$b'],
  ['+/$b', 'a/$b'],
]
for (const [filter, topic] of matching) {
  test(`"${filter}" matches "${topic}"`, () => assert.equal(topicMatches(filter, topic), true))
}

const different: readonly (readonly [filter: string, topic: string])[] = [
  ['a', 'b'],
  ['a', 'a/'],
  ['a', '/a'],
  ['a', 'A'],
  ['a', 'ab'],
  ['ab', 'a'],
  ['a/#', 'ab'],
  ['a/#', 'b/a'],
  ['a/b/#', 'a'],
  ['/#', 'a'],
  ['+', '/a'],
  ['+', 'a/'],
  ['+', 'a/b'],
  ['/+', 'a'],
  ['a/+', 'a'],
  ['a/+', 'a/b/c'],
  ['a/+/c', 'a/b'],
  ['a/+/#', 'a'],
  ['é', 'e\u0301'],
]
for (const [filter, topic] of different) {
  test(`"${filter}" does not match "${topic}"`, () => {
    assert.equal(topicMatches(filter, topic), false)
  })
}

for (const filter of ['#', '+', '+/a', '+/#', '/#']) {
  test(`"${filter}" does not match a topic that begins with "$" [MQTT-4.7.2-1]`, () => {
    assert.equal(topicMatches(filter, '$SYS/a'), false)
    assert.equal(topicMatches(filter, '$SYS'), false)
  })
}

/** The rules of section 4.7 level by level, plain and slow. */
function matchesByLevels(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false
  if (wanted.at(-1) === '#') {
    wanted.pop()
    if (levels.length < wanted.length) return false
    levels.length = wanted.length
  }
  return (
    levels.length === wanted.length &&
    wanted.every((level, at) => level === '+' || level === levels[at])
  )
}

test('matching character by character is matching level by level [MQTT-4.7.3-4]', () => {
  const words = fc.constantFrom('a', 'b', 'ab', '', '$a')
  const topics = fc.array(words, { minLength: 1, maxLength: 4 }).map(some => some.join('/') || '/')
  const filters = fc
    .array(fc.oneof(words, fc.constant('+')), { minLength: 1, maxLength: 4 })
    .chain(some => fc.constantFrom(some.join('/') || '/', [...some, '#'].join('/')))
  fc.assert(
    fc.property(filters, topics, (filter, topic) => {
      assert.equal(isTopicFilter(filter), true)
      assert.equal(topicMatches(filter, topic), matchesByLevels(filter, topic))
    }),
    { numRuns: 5000 },
  )
})

test('generated filters are valid, and every topic matches itself', () => {
  fc.assert(fc.property(topicFilter, filter => assert.equal(isTopicFilter(filter), true)))
  fc.assert(
    fc.property(topicName, topic => {
      assert.equal(isTopicName(topic), true)
      assert.equal(topicMatches(topic, topic), true)
    }),
  )
})
