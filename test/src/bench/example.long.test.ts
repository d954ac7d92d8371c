// The example of a benchmark in CI: it passes, then compares with itself, and fails with a broker
// that is not there.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { withBroker } from '../support/brokers.ts'

const EXAMPLE = fileURLToPath(new URL('../../../examples/benchmark-in-ci.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-example-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function run(port: number): Promise<{ code: number | null; output: string }> {
  const env = { ...process.env, BENCH_SECONDS: '0.3' }
  const args = [EXAMPLE, `127.0.0.1:${port}`, folder]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.on('data', chunk => {
    output += String(chunk)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, output }))
  })
}

test('a first build sets the baseline, a second is compared with it', async () => {
  let port = 0
  await withBroker({}, async broker => {
    port = (await broker.listen({ port: 0 })).port
    const first = await run(port)
    assert.equal(first.code, 0, first.output)
    assert.match(first.output, /trial 3 of 3/)
    assert.ok(existsSync(join(folder, 'baseline.json')))
    // The second may be the slower one: that is for the exit code to say, and not for this test.
    const second = await run(port)
    assert.ok(second.code === 0 || second.code === 4, second.output)
    assert.match(second.output, /better, \d+ worse beyond chance/)
  })
  assert.equal((await run(port)).code, 3)
})
