// `godwit serve --config mosquitto.conf` as a process: its files, its user, its signals, and what
// --check and --print-config say.

import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hashPassword } from '@godwit/broker'
import { until } from '../support/brokers.ts'
import { RawClient } from '../support/raw-client.ts'
import { run } from '../support/run.ts'
import { GODWIT, type Served, serve } from '../support/served.ts'

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  // Whoever is started by root goes on as somebody else.
  chmodSync(folder, 0o777)
  return folder
}

/** A broker with this file, on a free port. */
async function served(context: TestContext, folder: string, conf: string): Promise<Served> {
  writeFileSync(join(folder, 'm.conf'), conf)
  const broker = await serve(['--config', 'm.conf', '--port', '0'], { cwd: folder })
  context.after(() => broker.stop())
  return broker
}

function portOf({ urls }: Served): number {
  return Number(/:(\d+)$/.exec(urls.find(url => url.startsWith('mqtt://127')) ?? '')?.[1])
}

/** @param where a port, or the path of a socket @returns the reason code of CONNACK */
async function comes(
  where: number | string,
  username: string | null,
  clientId = 'c',
): Promise<number> {
  const client = typeof where === 'number' ? RawClient.tcp(where) : new RawClient(connect(where))
  const password = username === null ? null : Buffer.from('secret')
  const { reasonCode } = await client.connect({ clientId, username, password })
  client.destroy()
  return reasonCode
}

test('the log goes on in a new file after SIGHUP, the pid file ends with it', async context => {
  const folder = folderOf(context)
  const [log, pid] = [join(folder, 'm.log'), join(folder, 'm.pid')]
  const conf = `log_dest stderr\nlog_dest file ${log}\npid_file ./m.pid\nlog_facility 1\n`
  const broker = await served(context, folder, conf)
  assert.match(readFileSync(log, 'utf8'), /m\.conf:4: log_facility is for nothing here/)
  assert.match(readFileSync(log, 'utf8'), /listening on mqtt/)
  assert.equal(readFileSync(pid, 'utf8'), `${broker.child.pid}\n`)
  renameSync(log, `${log}.1`)
  broker.child.kill('SIGHUP')
  await broker.line('SIGHUP')
  await until(() => existsSync(log) && readFileSync(log, 'utf8') !== '', 'a new log')
  assert.equal(await comes(portOf(broker), null, 'told'), 0)
  await broker.line('a client has connected')
  assert.equal(await broker.stop(), 0)
  assert.match(readFileSync(log, 'utf8'), /told.*stopped/s)
  assert.equal(existsSync(pid), false)
})

test('root does not stay root', async context => {
  const folder = folderOf(context)
  const broker = await served(context, folder, 'pid_file ./m.pid\n')
  const { uid } = statSync(join(folder, 'm.pid'))
  const own = process.getuid?.() ?? -1
  if (own === 0) assert.notEqual(uid, 0)
  else assert.equal(uid, own)
  assert.equal(await broker.stop(), 0)
})

test('SIGHUP takes over who may come in, and says what takes a restart', async context => {
  const folder = folderOf(context)
  const users = `ann:${await hashPassword(Buffer.from('secret'), 'sha512')}\n`
  writeFileSync(join(folder, 'users'), users)
  const conf = 'password_file ./users\nallow_anonymous true\n'
  const broker = await served(context, folder, conf)
  const port = portOf(broker)
  assert.deepEqual([await comes(port, null), await comes(port, 'ann')], [0, 0])
  const changed = 'password_file ./users\nallow_anonymous false\nmax_keepalive 60\n'
  writeFileSync(join(folder, 'm.conf'), changed)
  broker.child.kill('SIGHUP')
  await broker.line('the configuration was read again')
  assert.match(await broker.line('takes a restart'), /changed in broker: that takes a restart/)
  assert.deepEqual([await comes(port, null), await comes(port, 'ann')], [0x87, 0])
  writeFileSync(join(folder, 'm.conf'), `${changed}plugin /x.so\n`)
  broker.child.kill('SIGHUP')
  assert.match(await broker.line('stays as it was read before'), /m\.conf:4: plugin is not there/)
  assert.deepEqual([await comes(port, null), await comes(port, 'ann')], [0x87, 0])
})

test('SIGHUP opens no listener that the file has no more', async context => {
  const folder = folderOf(context)
  const socket = join(folder, 'socket')
  writeFileSync(join(folder, 'users'), '')
  const own = `per_listener_settings true\nlistener 0 ${socket}\npassword_file ./users\n`
  const broker = await served(context, folder, own)
  assert.equal(await comes(socket, null), 0x87)
  let times = 0
  const reload = async (conf: string): Promise<number> => {
    writeFileSync(join(folder, 'm.conf'), conf)
    broker.child.kill('SIGHUP')
    times++
    const told = (): string[] => broker.lines.filter(line => line.includes('was read again'))
    await until(() => told().length === times, 'a configuration that was read')
    return comes(socket, null)
  }
  const open = own.replace('password_file ./users', 'allow_anonymous true')
  assert.equal(await reload(open.replace('socket', 'other')), 0x87)
  assert.match(await broker.line('no more after a restart'), /socket: it listens there no more/)
  assert.equal(await reload('password_file ./users\nallow_anonymous true\n'), 0x87)
  assert.equal(await reload(open), 0)
})

test('SIGHUP asks for passwords where nobody did, not for rights', async context => {
  const folder = folderOf(context)
  writeFileSync(join(folder, 'users'), '')
  const broker = await served(context, folder, 'allow_anonymous true\n')
  const port = portOf(broker)
  assert.equal(await comes(port, null), 0)
  writeFileSync(join(folder, 'm.conf'), 'password_file ./users\n')
  broker.child.kill('SIGHUP')
  await broker.line('was read again')
  assert.equal(await comes(port, null), 0x87)
  const acl = 'password_file ./users\nacl_file ./users\n'
  for (const [times, conf] of [acl, `${acl}allow_anonymous true\n`].entries()) {
    writeFileSync(join(folder, 'm.conf'), conf)
    broker.child.kill('SIGHUP')
    const told = (): string[] => broker.lines.filter(line => line.includes('before a restart'))
    await until(() => told().length === times + 1, 'a word that it takes a restart')
    assert.match(told()[times] ?? '', /who may do what \(an ACL file\)/)
  }
})

test('--check prints what a mosquitto.conf comes to, and what is otherwise', async context => {
  const folder = folderOf(context)
  writeFileSync(join(folder, 'm.conf'), 'listener 1 127.0.0.1\nautosave_interval 60\n')
  const check = [GODWIT, 'serve', '--config', 'm.conf', '--check']
  const { code, output } = await run(process.execPath, check, { cwd: folder })
  assert.equal(code, 0)
  assert.match(output, /^m\.conf is valid\n/)
  assert.match(output, /^ {4}host: 127\.0\.0\.1\n {4}port: 1$/m)
  assert.match(output, /^allowAnonymous: false$/m)
  assert.match(output, /^m\.conf:2: autosave_interval is for nothing here: what is acknowledged/m)
  const mended = [...check, '--allow-anonymous']
  assert.match((await run(process.execPath, mended, { cwd: folder })).output, /Anonymous: true/)
})

test('--print-config is a YAML file that comes to the same', async context => {
  const folder = folderOf(context)
  writeFileSync(join(folder, 'users'), '')
  const conf = `per_listener_settings true
listener 1 127.0.0.1
protocol websockets
password_file ./users
listener 0 ./socket
allow_anonymous true
max_connections 9
persistence true
memory_limit 100000
log_dest none
message_size_limit 7
`
  writeFileSync(join(folder, 'm.conf'), conf)
  const print = async (path: string, ...more: string[]): Promise<string> => {
    const args = [GODWIT, 'serve', '--config', path, '--print-config', ...more]
    const { code, output, errors } = await run(process.execPath, args, { cwd: folder })
    assert.equal(code, 0, errors)
    return output
  }
  const first = await print('m.conf', '--metrics-port', '5')
  writeFileSync(join(folder, 'm.yaml'), first)
  const again = await print('m.yaml')
  assert.equal(again, first.replace(/^# m\.conf:\d+: .*\n/gm, ''))
  assert.match(again, /passwordFile: \.\/users/)
})

test('what cannot be begins nothing: a pid file, a log, a user', async context => {
  const folder = folderOf(context)
  for (const [conf, said] of [
    ['pid_file ./none/m.pid\n', /the pid file cannot be written: ENOENT/],
    ['log_dest file ./none/m.log\n', /the log cannot be opened: ENOENT/],
  ] as const) {
    writeFileSync(join(folder, 'm.conf'), conf)
    const args = [GODWIT, 'serve', '--config', 'm.conf', '--port', '0']
    const { code, errors } = await run(process.execPath, args, { cwd: folder })
    assert.equal(code, 1)
    assert.match(errors, said)
  }
})
