// The power is cut under load: what was acknowledged is on the disk. As root only, where there are
// loop devices.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { skipWithout } from '../support/skip.ts'
import { missingForDisks } from './loop-disk.ts'
import { PowerCut } from './power-cut.ts'

const ROUNDS = 6
const SEED = 7

test('a power cut loses nothing that was acknowledged; without syncs it does', async context => {
  if (skipWithout(context, missingForDisks())) return
  const directory = mkdtempSync(join(tmpdir(), 'godwit-power-'))
  const cut = new PowerCut(directory, SEED)
  try {
    let owed = 0
    for (let round = 1; round <= ROUNDS; round++) {
      const verdict = await cut.round()
      assert.deepEqual(verdict.violations, [], `round ${round}`)
      owed += verdict.owed
    }
    assert.ok(owed > 1000, `${owed} deliveries were owed: too few to mean anything`)
    // The control: a rig that finds nothing here would find nothing anywhere.
    const { violations } = await cut.round(true)
    const lost = violations.filter(text => /^(?:lost|retained|session)/.test(text))
    assert.ok(lost.length > 10, `without syncs only this was found: ${violations.join('\n')}`)
    context.diagnostic(`${ROUNDS} cuts, ${owed} deliveries owed; the control lost ${lost.length}`)
  } finally {
    await cut.close()
    rmSync(directory, { recursive: true, force: true })
  }
})
