// The simulated network tells both sides what a real one would.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Link } from './link.ts'
import { SeededRandom } from './random.ts'
import { Schedule } from './schedule.ts'

function told(isRead: boolean): { bytes: number; client: number[]; broker: string[] } {
  const schedule = new Schedule()
  const network = { delayMsMax: 0, crumbs: 0, windowBytes: 200 }
  const link = new Link(1, schedule, new SeededRandom(1), network)
  const seen = { bytes: 0, client: [] as number[], broker: [] as string[] }
  link.client = {
    bytes: chunk => {
      seen.bytes += chunk.length
    },
    closed: () => seen.client.push(schedule.nowMs),
  }
  link.broker = {
    bytes: () => undefined,
    drained: () => undefined,
    closed: cause => seen.broker.push(cause),
  }
  link.pauseClient(!isRead)
  link.write([new Uint8Array(10)])
  link.end()
  schedule.runUntil(60_000)
  return seen
}

test('a client that reads learns of the end after the last byte, once', () => {
  assert.deepEqual(told(true), { bytes: 10, client: [0], broker: ['the broker ended it'] })
})

test('a client that reads nothing learns of it when the broker has waited enough', () => {
  assert.deepEqual(told(false), { bytes: 0, client: [5000], broker: ['lingered long enough'] })
})
