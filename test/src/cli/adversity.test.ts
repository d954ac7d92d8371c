// `godwit serve` where the machine gives less than it wants: few files, no room for the log.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { PacketType } from '@godwit/packet'
import { Authority } from '../support/certificates.ts'
import { publishPacket, RawClient } from '../support/raw-client.ts'
import { GODWIT, serve } from '../support/served.ts'
import { skipWithout } from '../support/skip.ts'

const FILES_MAX = 100
const CLIENTS = 150
const MISSING = process.platform === 'linux' ? undefined : 'Linux, for /proc and /dev/full'

/** A connection to the Unix socket, as soon as somebody listens on it. */
async function connected(path: string): Promise<Socket> {
  for (;;) {
    const socket = connect(path)
    const isOpen = await new Promise<boolean>(resolve => {
      socket.on('connect', () => resolve(true))
      socket.on('error', () => resolve(false))
    })
    if (isOpen) return socket
  }
}

/** Connects. @returns null when the connection was refused */
async function tryToConnect(port: number, clientId: string): Promise<RawClient | null> {
  const client = RawClient.tcp(port)
  try {
    await client.connect({ clientId })
    return client
  } catch {
    return null
  }
}

test('without descriptors it refuses connections, stores, and takes some again', async context => {
  if (skipWithout(context, MISSING)) return
  const data = await mkdtemp(join(tmpdir(), 'godwit-files-'))
  const served = await serve(['--port', '0', '--data', data], { openFilesMax: FILES_MAX })
  try {
    const port = Number(new URL(served.urls[0] ?? '').port)
    const ids = Array.from({ length: CLIENTS }, (_, i) => `c${i}`)
    const clients = await Promise.all(ids.map(id => tryToConnect(port, id)))
    const taken = clients.filter(client => client !== null)
    assert.ok(taken.length > 20 && taken.length < FILES_MAX, `${taken.length} were let in`)
    assert.match(await served.line('ulimit -n'), /no connections are taken/)
    // More than a segment of the log: the store has to make files.
    const [publisher] = taken
    assert.ok(publisher !== undefined)
    const payload = 'x'.repeat(500_000)
    for (let i = 1; i <= 50; i++) {
      publisher.send(publishPacket(`t/${i}`, payload, { qos: 1, packetId: i, retain: true }))
      assert.equal((await publisher.expect(PacketType.PUBACK)).packetId, i)
    }
    for (const client of taken) client.destroy()
    await served.line('connections are taken again')
    // The first of those that were closed is free by now, the others one after the other.
    while ((await tryToConnect(port, 'late')) === null);
    const lines = served.lines.filter(line => line.includes('a connection was refused'))
    assert.ok(lines.length <= 20, `${lines.length} lines about ${CLIENTS - taken.length} refusals`)
    assert.equal(await served.stop(), 0)
  } finally {
    await served.stop('SIGKILL')
    await rm(data, { recursive: true })
  }
})

test('a log that has no room ends nothing', async context => {
  if (skipWithout(context, MISSING)) return
  const folder = await mkdtemp(join(tmpdir(), 'godwit-log-'))
  const path = join(folder, 'mqtt.sock')
  const full = openSync('/dev/full', 'w')
  const args = [GODWIT, 'serve', '--port', '0', '--unix', path, '--data', 'none']
  const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'inherit'] })
  const ended = new Promise(resolve => child.on('exit', resolve))
  try {
    const client = new RawClient(await connected(path))
    assert.equal((await client.connect()).reasonCode, 0)
    child.kill('SIGTERM')
    assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x8b)
    client.destroy()
    assert.equal(await ended, 0)
  } finally {
    child.kill('SIGKILL')
    closeSync(full)
    await rm(folder, { recursive: true })
  }
})

test('a certificate that has expired is warned of, and again at each reload', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-tls-'))
  const certFile = join(folder, 'c.pem')
  const keyFile = join(folder, 'k.pem')
  const authority = await Authority.create('adversity test')
  const { cert, key } = await authority.issue({ commonName: 'server', expired: true })
  await writeFile(certFile, cert)
  await writeFile(keyFile, key)
  const args = ['--tls-port', '0', '--tls-cert', certFile, '--tls-key', keyFile, '--data', 'none']
  const served = await serve(args)
  try {
    assert.match(await served.line('expired on'), /c\.pem expired on/)
    served.child.kill('SIGHUP')
    await served.line('read again')
    const count = (): number => served.lines.filter(line => line.includes('expired on')).length
    while (count() < 2) await new Promise(resolve => setImmediate(resolve))
  } finally {
    await served.stop('SIGKILL')
    await rm(folder, { recursive: true })
  }
})
