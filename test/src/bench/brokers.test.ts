// `compare-brokers` with what is always there; the peers are in the long tests.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { godwit } from '../support/godwit.ts'

const folder = mkdtempSync(join(tmpdir(), 'godwit-brokers-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('brokers are started, measured and reported as JSON, Markdown and a page', async () => {
  const what = ['--brokers', 'godwit,godwit-durable', '--scenarios', 'stored-qos1']
  const options = ['--seconds', '1', '--repeat', '1', '--output', folder, '--quiet']
  const { code, output } = await godwit('bench', 'compare-brokers', ...what, ...options)
  assert.equal(code, 0)
  const report = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))
  assert.equal(report.format, 'godwit-brokers')
  assert.equal(report.measurements.length, 2)
  for (const one of report.measurements) {
    assert.equal(one.failure, null)
    assert.ok(one.receivedPerSecond > 0)
    assert.equal(one.lost, 0)
  }
  assert.equal(readFileSync(join(folder, 'report.md'), 'utf8').trim(), output.trim())
  assert.match(output, /\| stored-qos1 \| all, once, in order \| all, once, in order \|/)
  assert.match(readFileSync(join(folder, 'report.html'), 'utf8'), /<h1>MQTT brokers compared/)
})

test('brokers and scenarios that nobody knows are refused', async () => {
  for (const words of [['--brokers', 'other'], ['--scenarios', 'other'], ['word']]) {
    const { code } = await godwit('bench', 'compare-brokers', ...words)
    assert.equal(code, 2)
  }
})
