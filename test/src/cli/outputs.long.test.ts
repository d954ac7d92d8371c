// Standard output and standard error that take nothing: a full disk is told of and is exit code 1,
// a reader who has gone (`| head -1`) is neither, and messages for people that find no room end
// nothing.

import assert from 'node:assert/strict'
import { type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type BrokerServer, createBroker } from '@godwit/broker'
import { until } from '../support/brokers.ts'
import { skipWithout } from '../support/skip.ts'
import { GODWIT, run } from './godwit.ts'

const LIMIT_MS = 60_000
const NO_FULL = process.platform === 'linux' ? undefined : 'Linux, for /dev/full'
const FULL = 'Error: standard output: ENOSPC: no space left on device, write\n'

/** Commands that print and end, with a broker's port in place of PORT. */
const PRINTING = [
  '--help',
  'help pub',
  'rr --version',
  'serve --help',
  'serve --check --data none',
  'completion fish',
  'check -p PORT --json',
  'bench ping --help',
  'bench compare-brokers --list',
  'bench load --port PORT --conns 2 --messages 5 --quiet',
  'bench many --port PORT --conns 2 --wait 0 --hold 0.1 --quiet --json',
]

async function serve(context: TestContext): Promise<{ broker: BrokerServer; port: string }> {
  const broker = createBroker({
    statsIntervalSeconds: 0,
    hooks: {
      publish: ({ topic, properties: { responseTopic = '', correlationData } }) => {
        const properties = correlationData === undefined ? {} : { correlationData }
        if (topic === 'service') broker.publish(responseTopic, 'answer', { properties })
        return undefined
      },
    },
  })
  const { port } = await broker.listen({ port: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  return { broker, port: String(port) }
}

function fullDisk(context: TestContext): number {
  const file = openSync('/dev/full', 'w')
  context.after(() => closeSync(file))
  return file
}

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** @returns exit code and standard error; a piped standard output is closed before it is read */
async function ended(words: readonly string[], stdio: StdioOptions, input = '') {
  const env = { ...process.env, XDG_CONFIG_HOME: '/nonexistent' }
  const child = spawn(process.execPath, [GODWIT, ...words], { stdio, env, timeout: LIMIT_MS })
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  child.stdout?.destroy()
  let stderr = ''
  child.stderr?.on('data', chunk => {
    stderr += chunk
  })
  const [code] = await once(child, 'close')
  return { code, stderr }
}

async function outcomes(port: string, output: number | 'pipe'): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>()
  for (const command of PRINTING) {
    const words = command.replace('PORT', port).split(' ')
    const { code, stderr } = await ended(words, ['pipe', output, 'pipe'])
    found.set(command, `${code} ${stderr}`)
  }
  return found
}

test('a full disk behind standard output is one line and exit code 1', async context => {
  if (skipWithout(context, NO_FULL)) return
  const { port } = await serve(context)
  const expected = PRINTING.map(command => [command, `1 ${FULL}`] as const)
  assert.deepEqual(await outcomes(port, fullDisk(context)), new Map(expected))
})

test('a reader who has gone is no error', async context => {
  const { port } = await serve(context)
  const expected = PRINTING.map(command => [command, '0 '] as const)
  assert.deepEqual(await outcomes(port, 'pipe'), new Map(expected))
})

test('rr and ticktock say that there is no room for what they print', async context => {
  if (skipWithout(context, NO_FULL)) return
  const { port } = await serve(context)
  const full = fullDisk(context)
  const stdio: StdioOptions = ['pipe', full, 'pipe']
  const rr = ['rr', '-p', port, '-V', '5', '-t', 'service', '-e', 'answers']
  const one = await ended([...rr, '-m', 'request'], stdio)
  assert.deepEqual([one.code, one.stderr], [1, FULL])
  const quiet = await ended([...rr, '-m', 'request', '--quiet'], stdio)
  assert.deepEqual([quiet.code, quiet.stderr], [1, ''])
  const ticks = await ended(['ticktock', '--host', `127.0.0.1:${port}`], stdio)
  assert.deepEqual([ticks.code, ticks.stderr], [1, FULL])
})

test('rr and ticktock end when nobody reads any more', async context => {
  const { port } = await serve(context)
  const stdio: StdioOptions = ['pipe', 'pipe', 'pipe']
  const many = ['rr', '-p', port, '-V', '5', '-t', 'service', '-e', 'answers', '-l', '-M', '1']
  const lines = await ended(many, stdio, 'request\n'.repeat(20_000))
  assert.deepEqual([lines.code, lines.stderr], [0, ''])
  const ticks = await ended(['ticktock', '--host', `127.0.0.1:${port}`, '--delay', '10ms'], stdio)
  assert.deepEqual([ticks.code, ticks.stderr], [0, ''])
})

test('an export that is cut off is never exit code 0', async context => {
  const folder = folderOf(context)
  const imported = join(folder, 'export')
  const data = join(folder, 'data')
  const records = Array.from({ length: 3000 }, (_, i) => [
    { type: 'message', id: i + 1, protocolLevel: 5, expiresAtMs: 0, publisher: 'p', ...message(i) },
    { type: 'retained', topic: `t/${i}`, message: i + 1 },
  ]).flat()
  const first = { type: 'godwit-export', version: 1, at: new Date(0).toISOString() }
  const all = [first, ...records, { type: 'end', records: records.length }]
  const text = `${all.map(record => JSON.stringify(record)).join('\n')}\n`
  writeFileSync(imported, text)
  const filled = await run(['import', '--data', data], text)
  assert.equal(filled.code, 0, filled.stderr)
  const words = ['export', '--data', data]
  const gone = await ended(words, ['pipe', 'pipe', 'pipe'])
  assert.deepEqual([gone.code, gone.stderr], [1, 'Error: standard output: write EPIPE\n'])
  if (skipWithout(context, NO_FULL)) return
  const cut = await ended(words, ['pipe', fullDisk(context), 'pipe'])
  assert.deepEqual([cut.code, cut.stderr], [1, FULL])
})

function message(i: number): object {
  const text = { topic: `t/${i}`, qos: 1, retain: true, payload: 'x'.repeat(60) }
  return { ...text, properties: {} }
}

test('messages for people that find no room end nothing', async context => {
  if (skipWithout(context, NO_FULL)) return
  const { broker, port } = await serve(context)
  const full = fullDisk(context)
  const got: string[] = []
  broker.on('published', ({ topic }) => got.push(topic))
  const stdio: StdioOptions = ['pipe', 'pipe', full]
  const pub = await ended(['pub', '-p', port, '-t', 'a', '-l', '-q', '1', '-d'], stdio, '1\n2\n3\n')
  assert.equal(pub.code, 0)
  await until(() => got.length === 3, 'three messages')
  const load = ['bench', 'load', '--port', port, '--conns', '2', '--messages', '5']
  assert.equal((await ended(load, stdio)).code, 0)
  assert.equal((await ended([...load, '--dump'], stdio)).code, 0)
})
