// The shortest way to each fault that the simulation of the store (testing/store-simulation.ts) has
// found, on a simulated machine.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DiskStore, openDiskStore } from './disk.ts'
import type { StoreLimits } from './store-limits.ts'
import { Model, modelReader } from './testing/model.ts'
import { MACHINE_DIRECTORY, SimulatedMachine } from './testing/simulated-machine.ts'

const LIMITS: StoreLimits = {
  followBytes: 1,
  overlayBytesMax: 1_000_000,
  openBatchBytesMax: 1_000_000,
  logBytesMax: 1_000_000,
}
const SESSION = {
  id: 1,
  clientId: 'c',
  protocolLevel: 5,
  sessionExpirySeconds: 60,
  disconnectedAtMs: 0,
} as const

class Process {
  readonly machine: SimulatedMachine
  durableBatch = 0
  failure: Error | null = null

  constructor(machine: SimulatedMachine) {
    this.machine = machine
  }

  async open(): Promise<DiskStore> {
    const ignore = () => undefined
    const sizes = { segmentBytes: 4096, checkpointBytes: 500_000, checkpointMs: 1000 }
    const options = { directory: MACHINE_DIRECTORY, ...sizes }
    const owner = {
      durable: (batch: number) => {
        this.durableBatch = batch
      },
      fetched: ignore,
      failed: (cause: Error) => {
        this.failure = cause
      },
    }
    const log = { info: ignore, warn: ignore, error: ignore }
    return this.wait(openDiskStore(options, owner, log, this.machine.start(), LIMITS))
  }

  /** Until it settles; the simulated disk works meanwhile. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const done = () => {
      isSettled = true
    }
    promise.then(done, done)
    await this.machine.disk.run(() => isSettled)
    return promise
  }

  async until(done: () => boolean): Promise<void> {
    await this.machine.disk.run(done)
    assert.ok(done(), 'nothing happens any more')
  }
}

test('a start on a full disk with nothing to replay gives up the ballast', async () => {
  const machine = new SimulatedMachine(1, null)
  const first = new Process(machine)
  const store = await first.open()
  store.putSession(SESSION)
  store.commit()
  await first.until(() => first.durableBatch === 1)
  const rows = () => machine.census()['rows of session']
  await first.until(() => rows() === 1)
  machine.crash(false)
  machine.fill(true)
  const reopened = await new Process(machine).open()
  assert.equal(reopened.full, true)
  machine.crash(false)
  machine.dispose()
})

test('the will of who was connected when the process died is due after its delay', async () => {
  const machine = new SimulatedMachine(1, null)
  const first = new Process(machine)
  const store = await first.open()
  const frame = new Uint8Array(4)
  const message = { id: 1, frame, protocolLevel: 5, expiresAtMs: 0, publisher: 'c' } as const
  store.putSession(SESSION)
  store.putMessage(message)
  const times = { delaySeconds: 3, expirySeconds: -1, fireAtMs: 0 }
  store.putWill({ sessionId: 1, message, ...times, user: null })
  store.commit()
  await first.until(() => first.durableBatch === 1)
  machine.crash(false)
  machine.wallMs = () => 1_800_000_000_000
  const reopened = await new Process(machine).open()
  const wills: (readonly number[])[] = []
  const reader = modelReader(new Model())
  reopened.load({ ...reader, will: (...will) => wills.push(will) })
  assert.deepEqual(wills, [[1, 1_800_000_003_000, frame.length]])
  machine.crash(false)
  machine.dispose()
})

test('the first start of a store uses the file that was made meanwhile', async () => {
  const machine = new SimulatedMachine(1, null)
  const first = new Process(machine)
  await first.open()
  const names = [...machine.disk.names.keys()].map(name => name.replace(/.*\//, ''))
  assert.ok(names.includes('0000000000000001.log'))
  assert.ok(!names.includes('spare-0.tmp'))
})

test('one that a full disk took away is not missed', async () => {
  const machine = new SimulatedMachine(3, null)
  const first = new Process(machine)
  let asked = 0
  machine.disk.fault = (operation, path) => {
    if (operation !== 'write' || !path.endsWith('spare-0.tmp')) return null
    asked++
    return Object.assign(new Error('full'), { code: 'ENOSPC' })
  }
  await first.open()
  assert.equal(asked, 1)
  assert.equal(first.failure, null)
})
