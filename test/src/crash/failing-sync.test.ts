// The disk fails to sync: nobody is told that the batch was kept, the process ends and says why,
// and what was acknowledged before is there when it starts again.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Chance } from '../support/chance.ts'
import { until } from '../support/time.ts'
import { check } from './checker.ts'
import { Client, clientOptions, type World } from './client.ts'
import { Ledger, readLedger } from './ledger.ts'

const LIMIT_MS = 60_000
/** Of `godwit serve`, when the disk fails. */
const DISK_FAILED = 74
const GODWIT = fileURLToPath(new URL('../../../packages/cli/bin/godwit.js', import.meta.url))
const PRELOAD = new URL('./preload-failing-sync.js', import.meta.url).href

interface Served {
  readonly child: ChildProcess
  readonly port: number
  /** What it has said so far. */
  readonly output: () => string
  /** Resolves when it has ended and all that it said is read. */
  readonly ended: Promise<unknown>
}

/** `godwit serve`, as people start it, with a file system that can be made to fail. */
async function serve(directory: string): Promise<Served> {
  const args = ['--import', PRELOAD, GODWIT, 'serve', '--data', directory, '--port', '0']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  let output = ''
  const take = (chunk: Buffer): void => {
    output += chunk
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const port = (): number => Number(/mqtt:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1] ?? 0)
  const ready = await until(() => port() > 0 || child.exitCode !== null, LIMIT_MS)
  assert.ok(ready && port() > 0, `godwit serve listens: ${output}`)
  return { child, port: port(), output: () => output, ended }
}

test('a sync that fails: no acknowledgement, exit code 74, nothing lost', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-sync-'))
  const ledger = new Ledger(join(directory, 'ledger'))
  const world: World = { chance: new Chance(1), ledger, clears: new Map() }
  const subscriber = new Client(world, clientOptions('s', 5, { holds: 0 }))
  const publisher = new Client(world, clientOptions('p', 5, { holds: 0 }))
  let served = await serve(join(directory, 'data'))
  try {
    await subscriber.connect(served.port)
    await subscriber.subscribe('a/#', 2)
    await subscriber.disconnect()
    await publisher.connect(served.port)
    const acknowledged: string[] = []
    publisher.onAcknowledged = id => acknowledged.push(id)
    const message = { topic: 'a/x', retain: false, clears: false, expirySeconds: -1 } as const
    for (let i = 0; i < 20; i++) publisher.publish({ ...message, id: `1.before.${i}`, qos: 2 })
    assert.ok(await until(() => acknowledged.length === 20, LIMIT_MS))
    assert.ok(await until(() => publisher.unfinishedCount === 0, LIMIT_MS))
    served.child.kill('SIGUSR2')
    // Signals and packets come by different ways: only what is sent after an answer is after both.
    await publisher.ping()
    for (let i = 0; i < 20; i++) publisher.publish({ ...message, id: `1.after.${i}`, qos: 1 })
    await served.ended
    assert.equal(served.child.exitCode, DISK_FAILED)
    assert.match(served.output(), /EIO/)
    assert.ok(await until(() => !publisher.linked, LIMIT_MS))
    assert.deepEqual(acknowledged.slice(20), [], 'nobody is told what nobody knows')
    ledger.add({ op: 'crash' })

    served = await serve(join(directory, 'data'))
    ledger.add({ op: 'up' })
    await publisher.connect(served.port)
    assert.ok(await until(() => publisher.unfinishedCount === 0, LIMIT_MS))
    let last = ''
    subscriber.onMessage = id => {
      last = id
    }
    await subscriber.connect(served.port)
    assert.ok(await until(() => last === '1.after.19', LIMIT_MS), 'the queue arrives')
    await subscriber.ping()
    ledger.close()
    const { violations, owed } = check(readLedger(join(directory, 'ledger')))
    assert.deepEqual({ violations, owed }, { violations: [], owed: 40 })
  } finally {
    served.child.kill('SIGKILL')
    publisher.destroy()
    subscriber.destroy()
    rmSync(directory, { recursive: true, force: true })
  }
})
