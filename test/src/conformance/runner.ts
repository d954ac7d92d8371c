// Runs cases against a broker, many at once, and says what came of each.

import { PacketType, type ProtocolLevel, ReasonCode } from '@godwit/packet'
import type { Case } from './case.ts'
import { Mismatch, NoAnswer, type Outcome, outcomeOf } from './outcome.ts'
import { Probe } from './probe.ts'
import type { Address } from './wire.ts'

const AT_ONCE = 24
const CAME_LINES = 12
const UNKNOWN_LEVEL = 'the broker says that it does not speak this version'

export interface Result {
  readonly case: Case
  readonly outcome: Outcome
  /** Why it is not a pass, in words; '' for a pass. */
  readonly why: string
  /** What went to and fro, a line each: `>` sent, `<` came. */
  readonly log: readonly string[]
}

export interface RunOptions {
  /** How long to wait for what has to come. */
  readonly limitMs: number
  /** Makes client ids and topics unlike those of other runs: a few letters and digits. */
  readonly tag: string
}

/** In the order of the cases. */
export async function runCases(
  address: Address,
  all: readonly Case[],
  options: RunOptions,
): Promise<Result[]> {
  const results: Result[] = new Array(all.length)
  const strange = new Set<number>()
  for (const level of new Set(all.map(each => each.level))) {
    if (await isUnknownLevel(address, level, options)) strange.add(level)
  }
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < all.length) {
      const at = next++
      const each = all[at] as Case
      results[at] = strange.has(each.level)
        ? { case: each, outcome: 'not applicable', why: UNKNOWN_LEVEL, log: [] }
        : await runCase(address, each, `${options.tag}n${at}n`, options.limitMs)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return results
}

/** Whether the broker says that it does not speak this version. */
async function isUnknownLevel(
  address: Address,
  level: ProtocolLevel,
  { tag, limitMs }: RunOptions,
): Promise<boolean> {
  const probe = new Probe(address, level, `${tag}level${level}`, limitMs)
  try {
    const wire = await probe.open()
    wire.send(probe.connectPacket())
    const { reasonCode } = await wire.expect(PacketType.CONNACK)
    return reasonCode === 1 || reasonCode === ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
  } catch (error) {
    if (error instanceof Mismatch || error instanceof NoAnswer) return false
    throw error
  } finally {
    probe.close()
  }
}

async function runCase(
  address: Address,
  each: Case,
  name: string,
  limitMs: number,
): Promise<Result> {
  const probe = new Probe(address, each.level, name, limitMs)
  try {
    await each.run(probe)
    return { case: each, outcome: 'pass', why: '', log: probe.log }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { case: each, outcome: outcomeOf(error), why, log: probe.log }
  } finally {
    probe.close()
  }
}

/** The last lines of what went to and fro. */
export function lastLines({ log }: Result): readonly string[] {
  return log.slice(-CAME_LINES)
}
