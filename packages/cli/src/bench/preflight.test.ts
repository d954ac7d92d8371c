// The check before many connections: at each limit and one beyond.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLimits, readLimits, type SystemLimits, type Wanted } from './preflight.ts'

const LIMITS: SystemLimits = {
  openFiles: 20_000,
  portFrom: 32_768,
  portTo: 60_999,
  memoryBytes: 8 * 1024 ** 3,
}
const WANTED: Wanted = { sessions: 15_000, processes: 1, sourceAddresses: 0, targets: 1 }

function checkOf(name: string, wanted: Partial<Wanted>, limits: Partial<SystemLimits> = {}) {
  const checks = checkLimits({ ...LIMITS, ...limits }, { ...WANTED, ...wanted })
  return checks.find(check => check.name === name)
}

test('15 000 sessions fit into one process with 20 000 files', () => {
  const checks = checkLimits(LIMITS, WANTED)
  assert.deepEqual(
    checks.map(check => check.name),
    ['open files', 'ports', 'memory'],
  )
  assert.ok(checks.every(check => check.isEnough && check.advice === ''))
})

test('a quarter of the ports is no news, one more is said to be slow, and addresses help', () => {
  const ports = 60_999 - 32_768 + 1
  assert.equal(checkOf('ports', { sessions: ports / 4 })?.hint, '')
  const beyond = checkOf('ports', { sessions: ports / 4 + 1 })
  assert.equal(beyond?.isEnough, true)
  assert.match(beyond?.hint ?? '', /--source-address with 2 addresses/)
  assert.equal(checkOf('ports', { sessions: ports / 4 + 1, sourceAddresses: 2 })?.hint, '')
})

test('one session more than the files of a process needs another process', () => {
  assert.equal(checkOf('open files', { sessions: 19_936 })?.isEnough, true)
  const beyond = checkOf('open files', { sessions: 19_937 })
  assert.equal(beyond?.isEnough, false)
  assert.match(beyond?.advice ?? '', /--processes 2, .*ulimit -n 20001/)
  assert.equal(checkOf('open files', { sessions: 19_937, processes: 2 })?.isEnough, true)
})

test('ports are counted by source address, or else by target', () => {
  assert.equal(checkOf('ports', { sessions: 28_232 })?.isEnough, true)
  const beyond = checkOf('ports', { sessions: 28_233 })
  assert.equal(beyond?.isEnough, false)
  assert.match(beyond?.advice ?? '', /127\.0\.0\.1-127\.0\.0\.2/)
  assert.equal(checkOf('ports', { sessions: 100_000, targets: 4 })?.isEnough, true)
  assert.equal(checkOf('ports', { sessions: 100_000, sourceAddresses: 4 })?.isEnough, true)
  assert.equal(checkOf('ports', { sessions: 100_000, sourceAddresses: 3 })?.isEnough, false)
  // With a source address the port is bound first: targets add nothing.
  const bound = { sessions: 50_000, sourceAddresses: 1, targets: 9 }
  assert.equal(checkOf('ports', bound)?.isEnough, false)
})

test('memory that is not there is not promised', () => {
  const small = checkOf('memory', { sessions: 1_000_000 })
  assert.equal(small?.isEnough, false)
  const most = Number(/--conns (\d+)/.exec(small?.advice ?? '')?.[1])
  assert.equal(checkOf('memory', { sessions: most })?.isEnough, true)
  assert.equal(checkOf('memory', { sessions: most + 1 })?.isEnough, false)
})

test('what the system does not say is not judged', () => {
  assert.equal(checkOf('open files', {}, { openFiles: null }), undefined)
  assert.equal(checkOf('ports', {}, { portFrom: null, portTo: null }), undefined)
  assert.ok(readLimits().memoryBytes > 0)
})
