// The one way to leave a test out: with a reason, and never in CI, where all is there.
import type { TestContext } from 'node:test'

/**
 * Leaves the running test out when something is missing, and says why. In CI (GODWIT_CI=1) the test
 * fails instead.
 * @param missing what the test needs and this machine has not; undefined when nothing is missing
 * @returns whether the test must stop here
 */
export function skipWithout(context: TestContext, missing: string | undefined): boolean {
  if (missing === undefined) return false
  if (process.env['GODWIT_CI'] === '1') throw new Error(`CI must have what is missing: ${missing}`)
  context.skip(`missing: ${missing}`)
  return true
}
