// Sizes of the store that can never work together are refused before anything is made.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkOptions, OptionError } from '../options.ts'
import { openDiskStore } from './disk.ts'
import { ballastBytesFor, conflictOf, DEFAULT_STORE_LIMITS } from './store-limits.ts'
import { Opened, temporaryDirectory } from './testing/opened-store.ts'

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined }
const { logBytesMax } = DEFAULT_STORE_LIMITS

test('a checkpoint may be as large as the log, and no larger', () => {
  assert.equal(conflictOf({}), null)
  assert.equal(conflictOf({ checkpointBytes: logBytesMax }), null)
  assert.equal(conflictOf({ checkpointBytes: logBytesMax + 1 })?.option, 'checkpointBytes')
})

test('an option that is too large is named with both values', () => {
  const store = (checkpointBytes: number) => ({ store: { directory: 'd', checkpointBytes } })
  checkOptions(store(logBytesMax))
  assert.throws(
    () => checkOptions(store(2 ** 30)),
    (error: unknown) =>
      error instanceof OptionError &&
      error.option === 'store.checkpointBytes' &&
      error.message.includes(String(2 ** 30)) &&
      error.message.includes(String(logBytesMax)),
  )
})

test('the store refuses it by itself, and makes nothing', async t => {
  const directory = join(temporaryDirectory(t), 'store')
  const limits = { ...DEFAULT_STORE_LIMITS, logBytesMax: 1000 }
  const opening = openDiskStore(
    { directory, checkpointBytes: 1001 },
    new Opened(),
    SILENT,
    undefined,
    limits,
  )
  await assert.rejects(opening, /checkpointBytes: 1001 bytes .* 1000/)
  assert.equal(fs.existsSync(directory), false)
})

test('the ballast is what is checkpointed at a time, from 1 to 32 MiB', () => {
  const mib = 1024 * 1024
  for (const [checkpointBytes, expected] of [
    [1, mib],
    [mib - 1, mib],
    [mib + 1, mib + 1],
    [32 * mib, 32 * mib],
    [64 * mib, 32 * mib],
  ] as const) {
    assert.equal(ballastBytesFor(checkpointBytes), expected)
  }
})
