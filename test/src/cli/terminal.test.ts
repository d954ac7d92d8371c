// The commands with certificates, and at a terminal: a pseudo-terminal of `script`.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type BrokerServer, createBroker } from '@godwit/broker'
import { nextEvent, until } from '../support/brokers.ts'
import { Authority } from '../support/certificates.ts'
import { skipWithout } from '../support/skip.ts'
import { GODWIT, run } from './godwit.ts'

const SCRIPT = '/usr/bin/script'
const ESCAPE = '\x1b['

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function serve(context: TestContext): Promise<{ broker: BrokerServer; port: number }> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  return { broker, port }
}

/** Runs it at a terminal. @returns all that the terminal showed */
function atTerminal(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): { shown: () => string; type: (text: string) => void; ended: Promise<number | null> } {
  // A shell that stayed would take the Ctrl-C as well, and end with a code of its own.
  const line = `exec ${[process.execPath, GODWIT, ...args].map(word => `'${word}'`).join(' ')}`
  const env = { ...process.env, SHELL: '/bin/sh', TERM: 'xterm', NO_COLOR: '', ...environment }
  const child = spawn(SCRIPT, ['-qec', line, '/dev/null'], { env, timeout: 60_000 })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  return { shown: () => text, type: keys => child.stdin.write(keys), ended }
}

test('TLS: who has signed the certificate, and for whom it is', async context => {
  const authority = await Authority.create('Test CA')
  const other = await Authority.create('Other CA')
  const good = await authority.issue({ commonName: 'localhost' })
  const elsewhere = await authority.issue({ commonName: 'far.invalid', names: ['far.invalid'] })
  const folder = folderOf(context)
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const ca = write('ca.crt', authority.cert)
  const wrongCa = write('wrong.pem', other.cert)
  const broker = createBroker({ statsIntervalSeconds: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  const listen = async (name: string, pair: { cert: string; key: string }): Promise<string> => {
    const certFile = write(`${name}.crt`, pair.cert)
    const keyFile = write(`${name}.key`, pair.key)
    return String((await broker.listen({ port: 0, tls: { certFile, keyFile } })).port)
  }
  const [here, far] = [await listen('good', good), await listen('far', elsewhere)]
  const pub = (port: string, ...args: string[]) =>
    run(['pub', '-h', 'localhost', '-p', port, ...args, 'a', 'x'])
  assert.equal((await pub(here, '--cafile', ca)).code, 0)
  assert.equal((await pub(here, '--capath', folder)).code, 0)
  const unsigned = await pub(here, '--cafile', wrongCa)
  assert.equal(unsigned.code, 8)
  assert.match(unsigned.stderr, /^Error: .*(?:certificate|signature)/)
  const misnamed = await pub(far, '--cafile', ca)
  assert.equal(misnamed.code, 8)
  assert.match(misnamed.stderr, /far\.invalid/)
  assert.equal((await pub(far, '--cafile', ca, '--insecure')).code, 0)
  assert.equal((await pub(far, '--cafile', wrongCa, '--insecure')).code, 8)
})

test('colours are for terminals, and for those who want them', async context => {
  if (skipWithout(context, existsSync(SCRIPT) ? undefined : 'script of bsdutils')) return
  const colored = atTerminal(['pub', '--help'])
  assert.equal(await colored.ended, 0)
  assert.ok(colored.shown().includes(`${ESCAPE}1m`))
  const plain = atTerminal(['pub', '--help'], { NO_COLOR: '1' })
  await plain.ended
  assert.ok(!plain.shown().includes(ESCAPE))
  assert.ok(!(await run(['pub', '--help'])).stdout.includes(ESCAPE))
})

test('a tester has a live line and colours at a terminal, and neither in a pipe', async context => {
  if (skipWithout(context, existsSync(SCRIPT) ? undefined : 'script of bsdutils')) return
  const { port } = await serve(context)
  const goals = ['--slo', 'delivery.lost == 0', '--slo', 'delivery.received == 1']
  const args = ['bench', 'load', '-p', String(port), '--conns', '2', '--messages', '5', ...goals]
  const { shown, ended } = atTerminal(args)
  assert.equal(await ended, 4)
  assert.match(shown(), /\[[#-]{22}\] \d+ %/)
  assert.ok(shown().includes(`${ESCAPE}32mPASS`), 'what is good is green')
  assert.ok(shown().includes(`${ESCAPE}31mFAIL`), 'what is bad is red')
  const plain = atTerminal(args, { NO_COLOR: '1' })
  assert.equal(await plain.ended, 4)
  assert.match(plain.shown(), /PASS/)
  assert.ok(!plain.shown().includes(`${ESCAPE}3`))
  const { code, stdout, stderr } = await run(args)
  assert.equal(code, 4)
  assert.match(stdout, /PASS\n.*FAIL\n/)
  assert.ok(!`${stdout}${stderr}`.includes(ESCAPE))
})

test('sub --watch keeps a line for each topic and restores the terminal', async context => {
  if (skipWithout(context, existsSync(SCRIPT) ? undefined : 'script of bsdutils')) return
  const { broker, port } = await serve(context)
  const ready = nextEvent(broker, 'subscribe')
  const args = ['sub', '-h', '127.0.0.1', '-p', String(port), '-t', '#', '--watch']
  const { shown, type, ended } = atTerminal(args)
  await Promise.race([ready, ended.then(code => assert.fail(`sub ended with ${code}`))])
  broker.publish('b', 'first')
  broker.publish('b', 'sec\x1b[2Jond')
  broker.publish('a', 'other')
  await until(() => shown().includes('other'), 'the topics are shown')
  type('\x03')
  assert.equal(await ended, 0)
  const text = shown()
  assert.ok(text.startsWith(`${ESCAPE}?1049h`), 'the other screen')
  assert.ok(text.includes(`${ESCAPE}?1049l`), 'and back')
  assert.ok(!text.includes('first'), 'the last message takes the place of the one before')
  assert.ok(text.includes('sec·[2Jond'), 'it cannot move the cursor')
  assert.match(text.slice(text.lastIndexOf('1049l')), /2 topics, 3 messages/)
})

test('in a pipe --watch is what sub prints without it', async context => {
  const { broker, port } = await serve(context)
  broker.publish('a', 'x', { retain: true })
  const args = ['sub', '-h', '127.0.0.1', '-p', String(port), '-t', 'a', '-C', '1', '--watch']
  assert.equal((await run(args)).stdout, 'x\n')
})

test('a password is asked for without showing it', async context => {
  if (skipWithout(context, existsSync(SCRIPT) ? undefined : 'script of bsdutils')) return
  const seen: (string | null)[] = []
  const broker = createBroker({
    statsIntervalSeconds: 0,
    hooks: {
      authenticate: ({ password }) => {
        seen.push(password === null ? null : Buffer.from(password).toString())
        return true
      },
    },
  })
  const { port } = await broker.listen({ port: 0 })
  context.after(() => broker.close({ drainSeconds: 0 }))
  const at = ['pub', '-h', '127.0.0.1', '-p', String(port), '-u', 'u', '--pw-ask', 'a', 'x']
  const { shown, type, ended } = atTerminal(at)
  await until(() => shown().includes('Password: '), 'the question')
  type('geheiß\x7fm\r')
  assert.equal(await ended, 0)
  assert.deepEqual(seen, ['geheim'])
  assert.ok(!shown().includes('gehei'), shown())
})
