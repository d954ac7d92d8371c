// A test for each command line: both clients must be seen to do the same.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { skipWithout } from '../../support/skip.ts'
import { run } from './runner.ts'
import type { Script } from './script.ts'

const MOSQUITTO = '/usr/bin/mosquitto_sub'

export function testAlike(scripts: readonly Script[]): void {
  for (const script of scripts) {
    const { command, name } = script
    test(`godwit ${command} and mosquitto_${command} are alike: ${name}`, async context => {
      if (skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto-clients')) return
      const [theirs, ours] = await Promise.all([run(script, 'mosquitto'), run(script, 'godwit')])
      const compared = ['exitCode', 'stdout', 'received', 'packets'] as const
      for (const what of compared) {
        if (what === 'stdout' && script.comparesOutput === false) continue
        if (what === 'packets' && script.comparesPackets !== true) continue
        assert.deepEqual(ours[what], theirs[what], `${what}; our errors: ${ours.stderr}`)
      }
      if (script.comparesErrors) assert.equal(ours.stderr, theirs.stderr)
    })
  }
}
