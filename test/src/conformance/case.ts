// A case: what is sent because of a statement, what has to come, and the steps of it.

import type { ProtocolLevel } from '@godwit/packet'
import type { Probe } from './probe.ts'

/** MQTT 5.0, 3.1.1, 3.1. The last has no statements with ids, see cases/mqtt31.ts. */
export type Standard = 'v5' | 'v3' | 'v31'

/** Statements that one case shows, by standard; each as in test/statements, without "MQTT-". */
export interface Ids {
  readonly v5?: string
  readonly v3?: string
}

export interface Case {
  /** Without "MQTT-". */
  readonly id: string
  readonly standard: Standard
  readonly level: ProtocolLevel
  readonly sends: string
  readonly expects: string
  run(probe: Probe): Promise<void>
}

/**
 * A case for each standard that has the statement.
 * @param ids several statements of one standard, separated by spaces, have the same case
 */
export function cases(
  ids: Ids,
  sends: string,
  expects: string,
  run: (probe: Probe) => Promise<void>,
): Case[] {
  const of = (standard: 'v5' | 'v3', list: string | undefined): Case[] =>
    (list ?? '')
      .split(' ')
      .filter(id => id !== '')
      .map(id => ({ id, standard, level: standard === 'v5' ? 5 : 4, sends, expects, run }))
  return [...of('v5', ids.v5), ...of('v3', ids.v3)]
}
