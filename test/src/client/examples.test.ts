// Runs every example of the client against a broker in this process, and holds it to what its
// comments say that it prints.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createBroker } from '@godwit/broker'

const FOLDER = fileURLToPath(new URL('../../../examples/client/', import.meta.url))
const LIMIT_MS = 100_000

const examples = readdirSync(FOLDER).filter(name => name.endsWith('.js'))

interface Result {
  readonly code: number | null
  readonly output: string
}

function run(path: string, url: string): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path], {
      env: { ...process.env, MQTT_URL: url },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: LIMIT_MS,
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, output }))
  })
}

test('there are examples', () => {
  assert.ok(examples.length >= 7)
})

for (const name of examples) {
  test(`examples/client/${name} prints what it says`, async () => {
    const path = `${FOLDER}${name}`
    const expected = [...readFileSync(path, 'utf8').matchAll(/^\/\/ prints: (.*)$/gm)]
    assert.ok(expected.length > 0)
    const broker = createBroker({ statsIntervalSeconds: 0 })
    const { url } = await broker.listen({ port: 0 })
    try {
      const { code, output } = await run(path, url)
      assert.equal(output, expected.map(([, line]) => `${line}\n`).join(''))
      assert.equal(code, 0)
    } finally {
      await broker.close({ drainSeconds: 0 })
    }
  })
}
