// What is asked for before each attempt to connect: where to, as whom, and the first data of an
// enhanced authentication.

import type { Authentication } from './authentication.ts'
import { invalidArgument } from './errors.ts'
import type { Attempt, ConnectOptions, Credentials } from './options.ts'
import type { Dial } from './transport.ts'

/** Where to connect to: asked at each attempt. */
export type ResolveTarget = (attempt: Attempt) => Promise<ResolvedTarget> | ResolvedTarget

export interface ResolvedTarget {
  readonly dial: Dial
  /** Of the URL, when it names some. */
  readonly credentials: Credentials | null
}

/** What was asked for one attempt. */
export interface Prepared {
  readonly dial: Dial
  readonly credentials: Credentials
  readonly authenticationData: Uint8Array | undefined
}

/** Asks for everything. Rejects with what one of those asked has thrown. */
export async function prepareAttempt(
  attempt: Attempt,
  target: ResolveTarget,
  given: ConnectOptions,
  authentication: Authentication | null,
): Promise<Prepared> {
  const { credentials: asked, username, password } = given
  const { dial, credentials: own } = await target(attempt)
  let credentials: Credentials = own ?? {}
  if (asked !== undefined) credentials = await asked(attempt)
  else if (username !== undefined || password !== undefined) credentials = { username, password }
  // Who is nobody by mistake must not connect without a name.
  if (credentials == null) throw invalidArgument('no credentials')
  const authenticationData = await authentication?.start()
  return { dial, credentials, authenticationData }
}
