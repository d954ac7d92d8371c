// One script at two brokers: the first step in which a client gets something else, and the shortest
// script that still shows it.

import { describeGot, type Got, isSame, Normaliser } from './normalise.ts'
import { play, type Recording, type Side } from './player.ts'
import { describeStep, type Script } from './script.ts'

/** What is compared, and what one side does against the standard and is therefore not looked at. */
export interface Comparison {
  readonly sides: readonly Side[]
  readonly ignored: readonly RegExp[]
}

/** Where the two part. */
export interface Difference {
  readonly script: Script
  /** Index into the steps of the script. */
  readonly step: number
  /** What came on each side, for people. */
  readonly came: string
}

/** @returns the first difference, or null when both did the same */
export async function compare(
  script: Script,
  { sides, ignored }: Comparison,
): Promise<Difference | null> {
  const recordings: Recording[] = []
  for (const side of sides) recordings.push(await play(script, side))
  const normalisers = sides.map(() => new Normaliser(ignored))
  for (let step = 0; step < script.steps.length; step++) {
    const got = normalisers.map((normaliser, at) => normaliser.step(recordings[at]?.[step] ?? []))
    const [expected, ...others] = got
    const isEqual = others.every(other => expected !== undefined && areSame(expected, other))
    if (!isEqual) return { script, step, came: describeBoth(sides, got) }
  }
  return null
}

/** Leaves out steps for as long as there is still a difference. */
export async function shorten(found: Difference, comparison: Comparison): Promise<Difference> {
  let best = cut(found)
  for (let at = best.script.steps.length - 2; at >= 0; at--) {
    const steps = best.script.steps.filter((_, index) => index !== at)
    const smaller = await compare({ ...best.script, steps }, comparison)
    // Another difference is another story, and may be one that scripts leave out.
    if (smaller?.came !== found.came) continue
    best = cut(smaller)
    at = Math.min(at, best.script.steps.length - 1)
  }
  return best
}

function cut(found: Difference): Difference {
  const { script, step } = found
  return { ...found, script: { ...script, steps: script.steps.slice(0, step + 1) } }
}

type GotByClient = Map<string, readonly Got[]>

function areSame(one: GotByClient, other: GotByClient): boolean {
  if (one.size !== other.size) return false
  for (const [client, got] of one) {
    const others = other.get(client)
    if (others === undefined || others.length !== got.length) return false
    for (const [index, what] of got.entries()) {
      const counterpart = others[index]
      if (counterpart === undefined || !isSame(what, counterpart)) return false
    }
  }
  return true
}

/** For people: the script up to there, and what came. */
export function describe({ script, step, came }: Difference): string {
  const levels = Object.entries(script.levels).map(([client, level]) => `${client}: ${level}`)
  const steps = script.steps.slice(0, step + 1).map(one => `  ${describeStep(one)}`)
  return [`seed ${script.seed}, levels ${levels.join(', ')}`, ...steps, came].join('\n')
}

function describeBoth(sides: readonly Side[], got: readonly GotByClient[]): string {
  const lines: string[] = []
  for (const [index, { name }] of sides.entries()) {
    lines.push(`${name}:`)
    for (const [client, all] of got[index] ?? []) {
      for (const one of all) lines.push(`  ${client} < ${describeGot(one)}`)
    }
  }
  return lines.join('\n')
}
