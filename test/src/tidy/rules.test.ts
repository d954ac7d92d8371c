// Each tidy rule is shown a source that keeps it and one that breaks it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SourceFile, sourceFile } from './files.ts'
import * as habits from './habits.ts'
import * as layers from './layers.ts'

const CORE = 'packages/broker/src/core/a.ts'
const LIMITS = 'packages/broker/src/core/limits.ts'

interface Case {
  readonly name: string
  readonly rule: layers.Rule
  /** Files by path. */
  readonly good: Readonly<Record<string, string>>
  readonly bad: Readonly<Record<string, string>>
  /** Where the violations are. */
  readonly at: readonly string[]
}

const Cases: readonly Case[] = [
  {
    name: 'packet imports a package, Node or nothing',
    rule: layers.packetImportsNothing,
    good: {
      'packages/packet/src/a.ts': "import { b } from './b.ts'",
      'packages/packet/src/a.test.ts': "import test from 'node:test'",
    },
    bad: {
      'packages/packet/src/a.ts':
        "import {\n  b,\n} from './b.ts'\nimport { Buffer } from 'node:buffer'",
      'packages/packet/src/b.ts': "\nconst ws = await import('ws')",
    },
    at: ['packages/packet/src/a.ts:4', 'packages/packet/src/b.ts:2'],
  },
  {
    name: 'client reaches for the outside',
    rule: layers.clientStaysInside,
    good: {
      'packages/client/src/transports/tcp.ts': "import net from 'node:net'\nnew WebSocket(url)",
      'packages/client/src/client.ts': "import { A } from '@godwit/packet'\n// WebSocket\n",
    },
    bad: {
      'packages/client/src/transports/tcp.ts': "import { b } from '@godwit/broker'",
      'packages/client/src/client.ts': "import net from 'node:net'\nnew WebSocket(url)",
    },
    at: [
      'packages/client/src/transports/tcp.ts:1',
      'packages/client/src/client.ts:1',
      'packages/client/src/client.ts:2',
    ],
  },
  {
    name: 'broker imports the client',
    rule: layers.brokerStaysBelow,
    good: { 'packages/broker/src/a.test.ts': "import { connect } from '@godwit/client'" },
    bad: { 'packages/broker/src/a.ts': "import type { Client } from '@godwit/client'" },
    at: ['packages/broker/src/a.ts:1'],
  },
  {
    name: 'core imports more than core',
    rule: layers.coreImportsCoreOnly,
    good: { [CORE]: "import { b } from './handlers/b.ts'\nimport { c } from '@godwit/packet'" },
    bad: { [CORE]: "import net from 'node:net'\nimport { b } from '../store/b.ts'\nimport 'ws'" },
    at: [`${CORE}:1`, `${CORE}:2`, `${CORE}:3`],
  },
  {
    name: 'core asks for time, chance or a promise',
    rule: layers.coreIsPure,
    good: {
      [CORE]: "// Date.now() is not for us\nclock.setTimeout\nconst process: x = 'Math.random()'",
    },
    bad: { [CORE]: 'a(Date.now())\n`${Math.random()}`\nasync function f() {}\nsetTimeout(f)' },
    at: [`${CORE}:1`, `${CORE}:2`, `${CORE}:3`, `${CORE}:4`],
  },
  {
    name: 'a shell imports another shell or the core',
    rule: layers.shellsMeetInServer,
    good: {
      'packages/broker/src/store/a.ts':
        "import type { B } from '../core/ports.ts'\nimport './b.ts'",
      'packages/broker/src/server.ts': "import './store/a.ts'\nimport './core/broker.ts'",
    },
    bad: {
      'packages/broker/src/store/a.ts': "import '../core/broker.ts'\nimport '../listeners/tcp.ts'",
    },
    at: ['packages/broker/src/store/a.ts:1', 'packages/broker/src/store/a.ts:2'],
  },
  {
    name: 'two files import one package',
    rule: layers.thirdPartyOnce,
    good: {
      'packages/cli/src/a.ts': "import pino from 'pino'\nimport fs from 'node:fs'",
      'packages/cli/src/b.ts': "import fs from 'node:fs'\nimport { c } from '@godwit/packet'",
      'packages/cli/src/b.test.ts': "import pino from 'pino'",
      'packages/broker/src/a.ts': "import pino from 'pino'",
    },
    bad: {
      'packages/cli/src/a.ts': "import pino from 'pino'",
      'packages/cli/src/b.ts': "import type { Logger } from 'pino/types'",
    },
    at: ['packages/cli/src/a.ts:1', 'packages/cli/src/b.ts:1'],
  },
  {
    name: 'a path leads into another package',
    rule: layers.packagesByName,
    good: { 'packages/cli/src/a.ts': "import '@godwit/packet'\nimport './b.ts'" },
    bad: {
      'packages/cli/src/a.ts': "import '../../packet/src/index.ts'",
      'test/src/a.ts': "import '../../packages/cli/src/main.ts'",
    },
    at: ['packages/cli/src/a.ts:1', 'test/src/a.ts:1'],
  },
  {
    name: 'index.ts is imported or imitated',
    rule: layers.noIndexInside,
    good: { 'packages/cli/src/index.ts': "export * from './a.ts'\nexport { b } from './b.ts'" },
    bad: {
      'packages/cli/src/a.ts': "import { b } from './index.ts'\nexport { c } from './c.ts'",
    },
    at: ['packages/cli/src/a.ts:1', 'packages/cli/src/a.ts:2'],
  },
  {
    name: 'modules import one another in a circle',
    rule: layers.noImportCycles,
    good: {
      'packages/cli/src/a.ts': "import { b } from './b.ts'\nimport './c.ts'",
      'packages/cli/src/b.ts': "import type { A } from './a.ts'\nimport './c.ts'",
      'packages/cli/src/c.ts': '',
    },
    bad: {
      'packages/cli/src/a.ts': "import { b } from './b.ts'",
      'packages/cli/src/b.ts': "import './d.ts'\nimport { c } from './c.ts'",
      'packages/cli/src/c.ts': "import { a } from './a.ts'",
      'packages/cli/src/d.ts': '',
    },
    at: ['packages/cli/src/c.ts:1'],
  },
  {
    name: 'production imports a test',
    rule: layers.noTestsInProduction,
    good: {
      'packages/cli/src/a.test.ts': "import './testing/b.ts'",
      'packages/cli/src/a.ts': "import assert from 'node:assert/strict'",
    },
    bad: { 'packages/cli/src/a.ts': "import './testing/b.ts'\nimport { c } from './c.test.ts'" },
    at: ['packages/cli/src/a.ts:1', 'packages/cli/src/a.ts:2'],
  },
  {
    name: 'a limit is not read, not tested or not in the file of limits',
    rule: habits.limitsAreKept,
    good: {
      [LIMITS]: 'interface Limits {\n  readonly aMax: number\n}',
      [CORE]: 'if (size > limits.aMax) refuse()\nconst BYTE_MASK = 255',
      'packages/broker/src/a.test.ts': "test('one more than aMax is refused')",
    },
    bad: {
      [LIMITS]: 'interface Limits {\n  readonly aMax: number\n  readonly bMax: number\n}',
      [CORE]: 'if (size > limits.aMax) refuse()\nconst QUEUE_MAX: number = 10',
    },
    at: [`${LIMITS}:2`, `${LIMITS}:3`, `${CORE}:2`],
  },
  {
    name: 'a file is too long',
    rule: habits.filesAreShort,
    good: { 'packages/cli/src/a.ts': lines(600), 'packages/cli/src/a.test.ts': lines(800) },
    bad: { 'packages/cli/src/a.ts': lines(601), 'packages/cli/src/a.test.ts': lines(801) },
    at: ['packages/cli/src/a.ts:601', 'packages/cli/src/a.test.ts:801'],
  },
  {
    name: 'a function is too long',
    rule: habits.functionsAreShort,
    good: {
      'packages/cli/src/a.ts': `class A {\n  get b(): number {\n${lines(68)}  }\n${lines(50)}}`,
      'packages/cli/src/a.test.ts': `describe('a', () => {\n${lines(90)}})`,
    },
    bad: {
      'packages/cli/src/a.ts': `\nfunction f() {\n${lines(69)}}\nconst g = () => {\n${lines(69)}}`,
      'packages/cli/src/a.test.ts': `test('a', async () => {\n${lines(69)}})`,
    },
    at: ['packages/cli/src/a.ts:2', 'packages/cli/src/a.ts:73', 'packages/cli/src/a.test.ts:1'],
  },
  {
    name: 'a line is too long',
    rule: habits.linesAreShort,
    good: { 'scripts/a.js': `${'x'.repeat(100)}\n// https://example.org/${'x'.repeat(100)}` },
    bad: { 'scripts/a.js': `\n'${'x'.repeat(99)}'` },
    at: ['scripts/a.js:2'],
  },
  {
    name: 'a file begins without a word on what it is',
    rule: habits.filesHaveHeaders,
    good: {
      'scripts/a.js': '#!/usr/bin/env node\n// Does it.\n',
      'packages/packet/src/a.ts': '// hot\n// Reads bytes.\n',
    },
    bad: { 'scripts/a.js': "import 'b'\n", 'packages/packet/src/a.ts': '// hot\nconst a = 1\n' },
    at: ['scripts/a.js:1', 'packages/packet/src/a.ts:1'],
  },
  {
    name: 'a note has no date',
    rule: habits.notesAreDated,
    good: { 'scripts/a.js': "// TODO 2031-05-01: drop Node 20\nconst a = 'TODO'" },
    bad: { 'scripts/a.js': `\n// ${'TODO'}: drop Node 20` },
    at: ['scripts/a.js:2'],
  },
  {
    name: 'a test is left out',
    rule: habits.everyTestRuns,
    good: {
      'test/src/support/skip.ts': 'context.skip(reason)',
      'packages/cli/src/a.test.ts': "test('.skip() is a word', run)",
    },
    bad: {
      'packages/cli/src/a.test.ts': "test.only('a')\ntest('b', { skip: true })\ntest.skip('c')",
      'packages/cli/src/b.test.ts': "context.todo('d')",
    },
    at: [
      'packages/cli/src/a.test.ts:1',
      'packages/cli/src/a.test.ts:2',
      'packages/cli/src/a.test.ts:3',
      'packages/cli/src/b.test.ts:1',
    ],
  },
  {
    name: 'a test sleeps',
    rule: habits.testsDoNotSleep,
    good: {
      'packages/cli/src/testing/deadline.ts': 'setTimeout(fail, 1000)',
      'packages/cli/src/a.ts': 'setTimeout(retry, delayMs)',
      'packages/cli/src/a.test.ts': 'clock.setTimeout(turn)',
    },
    bad: {
      'packages/cli/src/a.test.ts':
        "import { x } from 'node:timers/promises'\nsetTimeout(done, 50)",
      'test/src/b.test.ts': 'await sleep (50)',
    },
    at: ['packages/cli/src/a.test.ts:2', 'test/src/b.test.ts:1', 'packages/cli/src/a.test.ts:1'],
  },
  {
    name: 'a property is tried on values that no seed gives again',
    rule: habits.chanceHasSeeds,
    good: {
      'packages/cli/src/a.test.ts': "import fc from 'fast-check'\nfc.configureGlobal({ seed: 1 })",
      'packages/cli/src/testing/values.ts': "import fc from 'fast-check'",
    },
    bad: { 'packages/cli/src/b.test.ts': "import fc from 'fast-check'\nfc.assert(p)" },
    at: ['packages/cli/src/b.test.ts:1'],
  },
  {
    name: 'a type is any, or an error is silenced',
    rule: habits.typesAreHonest,
    good: {
      'packages/cli/src/a.ts': "const any: unknown = 'as any' // any: text\n",
      'packages/cli/src/a.test.ts': '// @ts-expect-error a number is no topic\n',
    },
    bad: {
      'packages/cli/src/a.ts': `const a: any = b as any\n\n// ${'@ts'}-ignore\nlet c: any[]`,
      'packages/cli/src/b.ts': `// ${'@ts'}-expect-error\n`,
    },
    at: [
      'packages/cli/src/a.ts:1',
      'packages/cli/src/a.ts:1',
      'packages/cli/src/a.ts:4',
      'packages/cli/src/a.ts:3',
      'packages/cli/src/b.ts:1',
    ],
  },
  {
    name: 'a file may use "!" and is not hot',
    rule: habits.assertionsAreHot(['packages/packet/src/re*.ts']),
    good: { 'packages/packet/src/reader.ts': '// hot\n', 'packages/packet/src/a.ts': '' },
    bad: { 'packages/packet/src/reader.ts': '// Reads bytes.\n' },
    at: ['packages/packet/src/reader.ts:1'],
  },
  {
    name: 'a statement id is unknown or written in another way',
    rule: habits.statementsExist(new Set(['MQTT-1.5.4-1', 'MQTT-1.5.3-1 v3'])),
    good: {
      [CORE]: 'a() // [MQTT-1.5.4-1] [MQTT-1.5.3-1 v3]\n',
      'packages/broker/src/a.test.ts': "test('A sentence about MQTT 5.0 [MQTT-1.5.4-1]')",
    },
    bad: {
      [CORE]: `a() // [${'MQTT'}-1.5.4-9]\nb() // [${'MQTT'}-1.5.3-1]\nc() // ${'MQTT'}-1.5.4-1\n`,
      'packages/broker/src/a.test.ts': `\ntest('A sentence [${'MQTT'}-1.5.4-1, v3]')`,
    },
    at: [`${CORE}:1`, `${CORE}:2`, `${CORE}:3`, 'packages/broker/src/a.test.ts:2'],
  },
]

for (const { name, rule, good, bad, at } of Cases) {
  test(`caught: ${name}`, () => {
    assert.deepEqual(rule(files(good)), [])
    assert.deepEqual(rule(files(bad)).map(placeOf), at)
  })
}

test('caught: a tracked file names a machine or a registry', () => {
  const good = `see https://docs.npmjs.com/\nGET /${'work'}/ and dist/home/index.html\n`
  assert.deepEqual(habits.namesNoMachine('a.md', good), [])
  const host = ['registry', 'npmjs', 'org'].join('.')
  const bad = `see ${'/work'}/main\n\n"${'/home'}/ann/x"\nhttps://${host}/a\n`
  assert.deepEqual(habits.namesNoMachine('a.md', bad).map(placeOf), ['a.md:1', 'a.md:3', 'a.md:4'])
})

test('the table of rules shows each of them a broken source', () => {
  const shown = new Set(Cases.map(({ rule }) => rule))
  const rules = Object.values({ ...layers, ...habits }).filter(value => value.length === 1)
  const helpers: readonly unknown[] = [
    layers.coreFiles,
    habits.assertionsAreHot,
    habits.statementsExist,
  ]
  const forgotten = rules.filter(
    rule => !helpers.includes(rule) && ![...shown].some(known => known === rule),
  )
  assert.deepEqual(forgotten, [])
})

function files(byPath: Readonly<Record<string, string>>): SourceFile[] {
  return Object.entries(byPath).map(([path, text]) => sourceFile(path, text))
}

function placeOf(violation: string): string {
  return /^[^:]+:\d+/.exec(violation)?.[0] ?? violation
}

function lines(count: number): string {
  return 'x()\n'.repeat(count)
}
