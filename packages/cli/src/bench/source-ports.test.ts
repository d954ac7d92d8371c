// Addresses and ports of sessions.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPortTaken, SourcePorts } from './source-ports.ts'

const RANGE = { from: 32_768, to: 60_999 }
const ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']

test('no two sessions to one target share an address and a port', () => {
  const ports = new SourcePorts(ADDRESSES, 6, RANGE, 12_345)
  const seen = new Set<string>()
  for (let number = 0; number < 600_000; number++) {
    const source = ports.sourceOf(number, 0)
    assert.ok(source !== null && source.port >= RANGE.from && source.port <= RANGE.to)
    seen.add(`${number % 6} ${source.address}:${source.port}`)
  }
  assert.equal(seen.size, 600_000)
})

test('a port that is taken is followed by others of the same address', () => {
  const ports = new SourcePorts(ADDRESSES, 1, RANGE, 0)
  const sources = [0, 1, 2, 3].map(attempt => ports.sourceOf(5, attempt))
  assert.deepEqual(new Set(sources.map(source => source?.address)), new Set(['127.0.0.2']))
  assert.equal(new Set(sources.map(source => source?.port)).size, 4)
})

test('without addresses the system chooses, without a known range it chooses the port', () => {
  assert.equal(new SourcePorts([], 1, RANGE, 0).sourceOf(3, 0), null)
  assert.deepEqual(new SourcePorts(ADDRESSES, 1, null, 0).sourceOf(1, 0), {
    address: '127.0.0.2',
    port: 0,
  })
})

test('only a port that is taken is worth another attempt', () => {
  const errorOf = (code: string): Error => Object.assign(new Error(code), { code })
  assert.equal(isPortTaken(errorOf('EADDRINUSE')), true)
  assert.equal(isPortTaken(errorOf('EADDRNOTAVAIL')), true)
  assert.equal(isPortTaken(errorOf('ECONNREFUSED')), false)
  assert.equal(isPortTaken(new Error('other')), false)
})
