// Password files, ours and Mosquitto's: each is made by one and read by the other.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { PasswordFile } from '@godwit/broker'
import { untilListening } from '../support/listening.ts'
import { skipWithout } from '../support/skip.ts'

const MOSQUITTO = '/usr/sbin/mosquitto'
const MOSQUITTO_PASSWD = '/usr/bin/mosquitto_passwd'
const GODWIT = new URL('../../../packages/cli/bin/godwit.js', import.meta.url).pathname
const LIMIT_MS = 60_000

function godwit(...args: string[]): { code: number | null; output: string; errors: string } {
  const options = { encoding: 'utf8', timeout: LIMIT_MS } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [GODWIT, ...args], options)
  return { code: status, output: stdout, errors: stderr }
}

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  // Mosquitto gives up its rights when it is started by root.
  chmodSync(folder, 0o777)
  context.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Starts mosquitto on a Unix socket and resolves when it listens. */
async function startMosquitto(folder: string, passwords: string): Promise<ChildProcess> {
  const socket = join(folder, 'socket')
  const config = join(folder, 'mosquitto.conf')
  // It takes paths up to the first space.
  const lines = ['listener 0 ./socket', 'allow_anonymous false', `password_file ./${passwords}`, '']
  writeFileSync(config, lines.join('\n'))
  const child = spawn(MOSQUITTO, ['-c', config], {
    stdio: 'ignore',
    timeout: LIMIT_MS,
    cwd: folder,
  })
  await untilListening(child, { path: socket })
  return child
}

for (const kind of ['sha512', 'sha512-pbkdf2']) {
  test(`mosquitto reads what godwit passwd makes with ${kind}`, async context => {
    if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto')) return
    const folder = folderOf(context)
    const file = join(folder, 'passwords')
    assert.equal(godwit('passwd', '-c', '-b', '-H', kind, file, 'ann', 'secret').code, 0)
    assert.equal(godwit('passwd', '-b', '-H', kind, file, 'bob', 'geheim').code, 0)
    chmodSync(file, 0o644)
    const broker = await startMosquitto(folder, 'passwords')
    context.after(() => broker.kill())
    const publish = (user: string, password: string): number | null =>
      godwit('pub', '--unix', `${folder}/socket`, '-u', user, '-P', password, 'a', 'x').code
    assert.equal(publish('ann', 'secret'), 0)
    assert.equal(publish('bob', 'geheim'), 0)
    assert.equal(publish('bob', 'secret'), 5)
  })

  test(`a password file reads what mosquitto_passwd makes with ${kind}`, async context => {
    if (skipWithout(context, existsSync(MOSQUITTO_PASSWD) ? undefined : 'mosquitto')) return
    const path = join(folderOf(context), 'passwords')
    const args = ['-H', kind, '-c', '-b', path, 'joe', 'sécret']
    assert.equal(spawnSync(MOSQUITTO_PASSWD, args).status, 0)
    const file = new PasswordFile(path)
    assert.deepEqual(file.problems, [])
    const ask = (password: string): Promise<number> =>
      file.authenticate({ username: 'joe', password: Buffer.from(password) })
    assert.equal(await ask('sécret'), 0)
    assert.notEqual(await ask('secret'), 0)
    assert.equal(godwit('passwd', '-b', '--verify', path, 'joe', 'sécret').code, 0)
    assert.equal(godwit('passwd', '-b', '--verify', path, 'joe', 'x').code, 1)
  })
}
