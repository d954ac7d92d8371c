// Our clients and Mosquitto's with mosquitto itself as the broker, by a Unix socket: what one
// leaves there the other reads, and both print the same.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { run as godwit } from '../../cli/godwit.ts'
import { untilListening } from '../../support/listening.ts'
import { skipWithout } from '../../support/skip.ts'

const MOSQUITTO = '/usr/sbin/mosquitto'
const LIMIT_MS = 60_000

async function startMosquitto(context: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  // Mosquitto gives up its rights when it is started by root.
  chmodSync(folder, 0o777)
  const socket = join(folder, 'socket')
  // It takes a path up to the first space.
  writeFileSync(join(folder, 'conf'), 'listener 0 ./socket\nallow_anonymous true\n')
  const options = { stdio: 'ignore', timeout: LIMIT_MS, cwd: folder } as const
  const broker: ChildProcess = spawn(MOSQUITTO, ['-c', join(folder, 'conf')], options)
  context.after(() => {
    broker.kill()
    rmSync(folder, { recursive: true })
  })
  await untilListening(broker, { path: socket })
  return socket
}

function theirs(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(`mosquitto_${command}`, args, { timeout: LIMIT_MS })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', code => resolve(`${code} ${text}`))
  })
}

async function ours(command: string, args: readonly string[]): Promise<string> {
  const { code, stdout } = await godwit([command, ...args])
  return `${code} ${stdout}`
}

const FORMAT = '%t|%p|%q|%r|%C|%P|%R|%F|%D'
const properties = [
  ...['-D', 'publish', 'content-type', 'a/b', '-D', 'publish', 'user-property', 'k', 'v'],
  ...['-D', 'publish', 'response-topic', 'r', '-D', 'publish', 'correlation-data', 'c'],
]

test('with mosquitto as broker both print what either has left there', async context => {
  if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto')) return
  const socket = await startMosquitto(context)
  const at = ['--unix', socket]
  const kept = [...at, '-q', '1', '-r', '-V', '5', ...properties]
  assert.equal(await ours('pub', [...kept, '-t', 'a/ours', '-m', 'grüße']), '0 ')
  assert.equal(await theirs('pub', [...kept, '-t', 'a/theirs', '-m', 'gruß']), '0 ')
  const lines: readonly (readonly string[])[] = [
    ['-V', '5', '-q', '1', '-t', 'a/ours', '-C', '1', '-F', FORMAT],
    ['-V', '5', '-q', '1', '-t', 'a/theirs', '-C', '1', '-F', FORMAT],
    ['-V', '31', '-i', 'x', '-t', 'a/+', '-C', '2', '-v'],
    ['-t', 'a/#', '-T', 'a/ours', '-C', '1', '-F', '%t %x'],
    ['-V', '5', '-t', '$share/g/a', '-E'],
  ]
  for (const line of lines) {
    const both = await Promise.all([ours('sub', [...at, ...line]), theirs('sub', [...at, ...line])])
    assert.equal(both[0], both[1], line.join(' '))
    assert.match(both[0], /^0 /)
  }
})

test('godwit check finds what mosquitto supports', async context => {
  if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto')) return
  const socket = await startMosquitto(context)
  const { code, stdout, stderr } = await godwit(['check', '--unix', socket, '--json'])
  assert.equal(code, 0, stderr)
  const { versions, features, limits, contradictions } = JSON.parse(stdout)
  assert.equal(versions['MQTT 5.0'].works, true)
  assert.equal(features.shared.works, true)
  assert.equal(features.aliasesFromBroker.works, false)
  assert.equal(limits.topicAliasMaximum, 10)
  assert.match(limits.version, /^mosquitto version /)
  assert.deepEqual(contradictions, [])
})
