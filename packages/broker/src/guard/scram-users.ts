// Authentication by SCRAM-SHA-256 for the users of a table or of a lookup, step by step as AUTH
// packets bring it. MQTT 5.0 section 4.12.

import { randomBytes } from 'node:crypto'
import type { AuthenticationVerdict } from '../core/ports.ts'
import {
  DEFAULT_SCRAM_ITERATIONS,
  inventedKeys,
  readClientFirst,
  SCRAM_SHA_256,
  ScramError,
  ScramExchange,
  type ScramKeys,
  type ScramLookup,
  scramKeys,
} from './scram.ts'

/** A password, or what `scramKeys` made of one. */
export type ScramUser = string | ScramKeys

export interface ScramOptions {
  /** User names with their passwords or keys, or a function that finds keys. */
  readonly users: Readonly<Record<string, ScramUser>> | ReadonlyMap<string, ScramUser> | ScramLookup
  /** For passwords given here, and for users that do not exist. At least 4096. */
  readonly iterations?: number
}

const NOT_AUTHORIZED = 0x87
const CONTINUE = 0x18

export class ScramUsers {
  readonly method: string = SCRAM_SHA_256
  private readonly lookup: ScramLookup
  private readonly iterations: number
  private readonly secret: Uint8Array = randomBytes(32)
  /** By ticket of the core. */
  private readonly exchanges = new Map<number, ScramExchange | null>()

  constructor(options: ScramOptions) {
    this.iterations = options.iterations ?? DEFAULT_SCRAM_ITERATIONS
    this.lookup = lookupOf(options.users, this.iterations)
  }

  /** The client's first message. */
  begin(
    ticket: number,
    data: Uint8Array | null,
  ): AuthenticationVerdict | Promise<AuthenticationVerdict> {
    this.exchanges.set(ticket, null)
    return attempt(() => {
      const first = readClientFirst(data ?? new Uint8Array(0))
      const found = this.lookup(first.username)
      const challenge = (keys: ScramKeys | null): AuthenticationVerdict => {
        const used = keys ?? inventedKeys(this.secret, first.username, this.iterations)
        const exchange = new ScramExchange(first, used, keys !== null)
        // Nobody takes it out again of a client that went while it was looked up.
        if (this.exchanges.has(ticket)) this.exchanges.set(ticket, exchange)
        return { reasonCode: CONTINUE, authenticationData: exchange.challenge }
      }
      return found instanceof Promise ? found.then(challenge) : challenge(found)
    })
  }

  /** The client's proof. @param onlyUser who it has to be; null: anybody */
  finish(
    ticket: number,
    data: Uint8Array | null,
    onlyUser: string | null,
  ): AuthenticationVerdict | Promise<AuthenticationVerdict> {
    const exchange = this.exchanges.get(ticket) ?? null
    this.exchanges.delete(ticket)
    return attempt(() => {
      if (exchange === null) throw new ScramError('other-error')
      const authenticationData = exchange.finish(data ?? new Uint8Array(0))
      const { username } = exchange
      if (onlyUser !== null && onlyUser !== username) throw new ScramError('other-error')
      return { reasonCode: 0, authenticationData, username }
    })
  }

  /** Exchanges that are under way. */
  get underWay(): number {
    return this.exchanges.size
  }

  abandon(ticket: number): void {
    this.exchanges.delete(ticket)
  }
}

function attempt(
  step: () => AuthenticationVerdict | Promise<AuthenticationVerdict>,
): AuthenticationVerdict | Promise<AuthenticationVerdict> {
  try {
    return step()
  } catch (error) {
    if (!(error instanceof ScramError)) throw error
    return { reasonCode: NOT_AUTHORIZED, reasonString: error.message }
  }
}

function lookupOf(users: ScramOptions['users'], iterations: number): ScramLookup {
  if (typeof users === 'function') return users
  const entries: Iterable<[string, ScramUser]> =
    users instanceof Map ? users.entries() : Object.entries(users)
  const table = new Map<string, ScramKeys>()
  for (const [name, user] of entries) {
    table.set(name, typeof user === 'string' ? scramKeys(user, iterations) : user)
  }
  return username => table.get(username) ?? null
}
