// MQTT over a Unix socket: its file, its rights, and what a killed process left.

import assert from 'node:assert/strict'
import { existsSync, linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { withBroker } from '../support/brokers.ts'
import { RawClient } from '../support/raw-client.ts'

async function withPath(use: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-unix-'))
  try {
    await use(join(folder, 'mqtt.sock'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('a client comes in over a Unix socket with the rights that were asked for', async () => {
  await withPath(async path => {
    await withBroker({}, async broker => {
      const address = await broker.listen({ unix: { path, mode: 0o660 } })
      assert.equal(address.url, `unix://${path}`)
      assert.equal(statSync(path).mode & 0o777, 0o660)
      const client = new RawClient(connect(path))
      await client.connect()
      await client.subscribe('t')
      broker.publish('t', 'hello')
      assert.equal(await client.message(), 't hello')
      assert.equal(broker.clients()[0]?.origin.transport, 'unix')
      client.destroy()
    })
    assert.equal(existsSync(path), false, 'the file goes with the listener')
  })
})

test('a socket file that nobody listens on any more is replaced', async () => {
  await withPath(async path => {
    const gone = createServer()
    await new Promise<void>(resolve => gone.listen(path, resolve))
    // What a killed process leaves: the file without anybody behind it.
    const kept = `${path}.kept`
    linkSync(path, kept)
    await new Promise(resolve => gone.close(resolve))
    linkSync(kept, path)
    await withBroker({}, async broker => {
      await broker.listen({ unix: path })
      const client = new RawClient(connect(path))
      assert.equal((await client.connect()).reasonCode, 0)
      client.destroy()
    })
  })
})

test('a socket that somebody listens on is left alone', async () => {
  await withPath(async path => {
    const other = createServer()
    await new Promise<void>(resolve => other.listen(path, resolve))
    await withBroker({}, async broker => {
      await assert.rejects(broker.listen({ unix: path }), { code: 'EADDRINUSE' })
    })
    assert.equal(existsSync(path), true)
    await new Promise(resolve => other.close(resolve))
  })
})

test('a file that is no socket is left alone', async () => {
  await withPath(async path => {
    writeFileSync(path, 'precious')
    await withBroker({}, async broker => {
      await assert.rejects(broker.listen({ unix: path }), { code: 'EADDRINUSE' })
    })
    assert.equal(statSync(path).isFile(), true)
  })
})

test('a folder that does not exist is named', async () => {
  await withPath(async path => {
    await withBroker({}, async broker => {
      await assert.rejects(broker.listen({ unix: join(path, 'x') }), /ENOENT|EACCES/)
    })
  })
})

test('a listener takes no more connections than it may', async () => {
  await withPath(async path => {
    await withBroker({}, async broker => {
      await broker.listen({ unix: path, connectionsMax: 1 })
      const first = new RawClient(connect(path))
      await first.connect()
      const second = new RawClient(connect(path))
      await second.closed
      await first.ping()
      first.destroy()
    })
  })
})
