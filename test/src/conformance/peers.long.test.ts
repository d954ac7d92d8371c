// The suite against the brokers that docs/conformance.md compares: what is committed is what comes.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { skipWithout } from '../support/skip.ts'
import { ROOT } from '../tidy/files.ts'
import { measurePeer } from './measure.ts'
import { PEERS } from './peers.ts'
import { textReport } from './report.ts'

const lines = readFileSync(join(ROOT, 'test/statements/results.tsv'), 'utf8').split('\n')
const rows = lines.filter(line => line !== '' && !line.startsWith('#')).map(row => row.split('\t'))

for (const peer of PEERS) {
  test(`the results of ${peer.name} are those that are committed`, async context => {
    if (skipWithout(context, peer.missing)) return
    const { name, version, outcomes, results } = await measurePeer(peer)
    const at = (rows[0] ?? []).indexOf(`${name} ${version}`)
    assert.notEqual(at, -1, `there are no results of ${name} ${version}`)
    const wrong = rows.slice(1).flatMap(row => {
      const came = outcomes.get(`${row[0]} ${row[1]}`)
      return came === row[at] ? [] : [`${row[0]} ${row[1]}: committed ${row[at]}, came ${came}`]
    })
    const failed = results.filter(({ outcome }) => outcome === 'fail' || outcome === 'no answer')
    assert.deepEqual(wrong, [], textReport(failed, false))
  })
}
