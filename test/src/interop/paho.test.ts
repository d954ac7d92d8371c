// paho-mqtt for Python against the broker: every QoS, retained messages, wills, sessions and
// reconnecting. What it does is in test/paho/client.py.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { withBroker } from '../support/brokers.ts'
import { run } from '../support/run.ts'
import { skipWithout } from '../support/skip.ts'

// Debian's own Python, which has Debian's paho-mqtt.
const PYTHON = '/usr/bin/python3'
const SCRIPT = fileURLToPath(new URL('../../paho/client.py', import.meta.url))
const CHECKS = ['every_qos', 'large_payload', 'retained', 'will', 'session', 'reconnect']

for (const [version, checks] of [
  ['31', CHECKS],
  ['311', CHECKS],
  ['5', [...CHECKS, 'properties_of_5']],
] as const) {
  test(`paho-mqtt does all it can with the broker, version ${version}`, async context => {
    const { status } = spawnSync(PYTHON, ['-c', 'import paho.mqtt.client'], { stdio: 'ignore' })
    if (skipWithout(context, status === 0 ? undefined : 'python3-paho-mqtt')) return
    await withBroker({}, async broker => {
      const { port } = await broker.listen({ port: 0 })
      const { code, output, errors } = await run(PYTHON, [SCRIPT, String(port), version])
      const passed = output
        .split('\n')
        .filter(line => line !== '')
        .map(line => (JSON.parse(line) as { passed: string }).passed)
      assert.deepEqual(passed, checks, errors)
      assert.equal(code, 0, errors)
      assert.equal(broker.stats().protocolErrors, 0)
    })
  })
}
