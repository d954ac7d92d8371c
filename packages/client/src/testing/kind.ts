// Which of the two clients the shared tests are run against: the full one, unless a test file says
// otherwise before it takes them in.

import { test as nodeTest } from 'node:test'
import { type Client, openClient } from '../client.ts'
import type { ConnectOptions } from '../options.ts'
import type { ConnectTarget } from '../target.ts'
import type { Platform } from '../transport.ts'

type Open = (platform: Platform, target: ConnectTarget, options: ConnectOptions) => Promise<Client>

/** A client under test. */
export interface Kind {
  readonly name: string
  readonly open: Open
  /** Tests by name that are of something which it does not have. */
  readonly lacks: readonly RegExp[]
}

const Full: Kind = { name: '', open: openClient, lacks: [] }

export let kind: Kind = Full

/** Whether it is the full client, for those parts of a test that the lite one has not. */
export function isFull(): boolean {
  return kind === Full
}

/** Names of the tests that were left out. */
export const left: string[] = []

export function setKind(to: Kind): void {
  kind = to
}

/** A test of whatever client it is that is tested. */
export function test(name: string, run: () => Promise<void> | void): void {
  if (kind.lacks.some(pattern => pattern.test(name))) left.push(name)
  else void nodeTest(`${kind.name}${name}`, { timeout: 60_000 }, run)
}
