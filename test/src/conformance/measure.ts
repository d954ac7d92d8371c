// Runs the suite against the brokers of peers.ts and writes a line for each statement, as
// test/statements/results.tsv has them.

import { ALL_CASES } from './all-cases.ts'
import type { Outcome } from './outcome.ts'
import { PEERS, type Peer } from './peers.ts'
import { type Result, runCases } from './runner.ts'

const LIMIT_MS = 10_000
/** Of several cases of one statement the first of these counts. */
const WORST_FIRST: readonly Outcome[] = ['fail', 'no answer', 'pass', 'not applicable']

/** What came of the statements at one broker, by standard and id: `v5 3.1.2-1`. */
export interface Measured {
  readonly name: string
  readonly version: string
  readonly outcomes: ReadonlyMap<string, Outcome>
  readonly results: readonly Result[]
}

/** @throws Error when the broker cannot be started */
export async function measurePeer(peer: Peer): Promise<Measured> {
  const { version, address, stop } = await peer.start()
  try {
    const results = await runCases(address, ALL_CASES, { limitMs: LIMIT_MS, tag: 'm' })
    return { name: peer.name, version, outcomes: byStatement(results), results }
  } finally {
    await stop()
  }
}

/** The whole table as text. */
export async function measure(): Promise<string> {
  const all: Measured[] = []
  for (const peer of PEERS) all.push(await measurePeer(peer))
  return tableOf(all)
}

export function tableOf(all: readonly Measured[]): string {
  const keys = [...new Set(ALL_CASES.map(({ standard, id }) => `${standard} ${id}`))]
  const rows = keys.map(key => [
    ...key.split(' '),
    ...all.map(({ outcomes }) => outcomes.get(key) ?? ''),
  ])
  const names = all.map(({ name, version }) => `${name} ${version}`)
  return [
    '# What came of the conformance suite, by statement (without "MQTT-"). Made by',
    '# npm run --silent conformance -- --measure',
    ['standard', 'statement', ...names].join('\t'),
    ...rows.map(row => row.join('\t')),
    '',
  ].join('\n')
}

function byStatement(results: readonly Result[]): Map<string, Outcome> {
  const found = new Map<string, Outcome>()
  for (const { case: each, outcome } of results) {
    const key = `${each.standard} ${each.id}`
    const before = found.get(key) ?? outcome
    found.set(key, WORST_FIRST.find(word => word === before || word === outcome) ?? outcome)
  }
  return found
}
