// The comparison of brokers: figures, reports, and that a loss is never left out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { weightOf } from './broker-process.ts'
import { brokersMarkdown, brokersPage } from './brokers-report.ts'
import {
  BROKERS_FORMAT,
  type BrokersResult,
  deliveryText,
  failureOf,
  type Measurement,
  meanOf,
  spreadOf,
} from './brokers-result.ts'
import { hostFacts } from './run.ts'

function measured(broker: string, repeat: number, changes: Partial<Measurement>): Measurement {
  return {
    ...failureOf({ scenario: 'pairs', broker, repeat }, ''),
    failure: null,
    receivedPerSecond: 1000,
    perCpuSecond: 5000,
    memoryBytes: 1024 * 1024,
    expected: 100,
    contractMet: true,
    ...changes,
  }
}

const fast = [measured('a', 0, { perCpuSecond: 8000 }), measured('a', 1, { perCpuSecond: 12_000 })]
const losing = [measured('b', 0, {}), measured('b', 1, { lost: 7, reordered: 2 })]

const RESULT: BrokersResult = {
  format: BROKERS_FORMAT,
  startedAt: '2026-01-01T00:00:00.000Z',
  commandLine: 'compare-brokers',
  host: hostFacts(),
  loadAverage: 7.25,
  seconds: 2,
  repeats: 2,
  brokers: ['a', 'b', 'c'].map(name => ({
    ...{ name, version: '1', about: 'x < y', protocol: 'MQTT 5.0', command: name },
  })),
  missing: ['d'],
  scenarios: [{ name: 'pairs', about: 'some | pairs', isOpenLoop: false }],
  measurements: [
    ...fast,
    ...losing,
    failureOf({ scenario: 'pairs', broker: 'c', repeat: 0 }, 'no'),
  ],
}

test('the figure of a broker is the mean of its measurements, with their spread', () => {
  assert.equal(meanOf(fast, 'perCpuSecond'), 10_000)
  assert.equal(spreadOf(fast, 'perCpuSecond'), 0.2)
  assert.equal(meanOf([measured('a', 0, { perCpuSecond: null })], 'perCpuSecond'), null)
  assert.equal(spreadOf(fast.slice(1), 'perCpuSecond'), 0)
})

test('what went wrong in one of several measurements is said', () => {
  assert.equal(deliveryText(fast), 'all, once, in order')
  assert.equal(deliveryText(losing), 'lost 7 of 200, reordered 2')
  assert.equal(deliveryText([measured('b', 0, { brokenConnections: 3 })]), 'broke 3 connections')
  assert.equal(deliveryText([measured('a', 0, {}), ...RESULT.measurements.slice(-1)]), 'no')
  assert.equal(deliveryText([]), '-')
})

test('the table in Markdown has the best in bold, and losses, failures and absences', () => {
  const text = brokersMarkdown(RESULT)
  assert.match(text, /\| pairs \| \*\*10\.0k\/s ±20 %\*\* \| 5\.00k\/s ±0 % \| - \|/)
  assert.match(text, /\| pairs \| all, once, in order \| lost 7 of 200, reordered 2 \| no \|/)
  assert.match(text, /Load average before it: 7\.3/)
  assert.match(text, /Not installed, so not measured: d\./)
})

test('the page has the same and needs no network', () => {
  const html = brokersPage(RESULT)
  assert.match(html, /<td class="best">10\.0k\/s ±20 %<\/td>/)
  assert.match(html, /<td class="bad">lost 7 of 200, reordered 2<\/td>/)
  assert.match(html, /x &lt; y/)
  assert.doesNotMatch(html, /<(?:script|link|img)[^>]*(?:src|href)=/)
})

test('a process has CPU seconds and memory, one that is gone has none', () => {
  const { cpuSeconds, memoryBytes } = weightOf(process.pid)
  assert.ok(cpuSeconds === null || cpuSeconds >= 0)
  assert.ok(memoryBytes === null || memoryBytes > 1024 * 1024)
  assert.deepEqual(weightOf(2 ** 30), { cpuSeconds: null, memoryBytes: null })
})
