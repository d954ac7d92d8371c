// The real guard of an embedder's functions, and the real SCRAM, with functions that think for a
// while. What they say is a rule that the model knows as well: `mayPublish` and `mayGetIn`.

import type {
  AuthenticationVerdict,
  ConnectRequest,
  Guard,
  Identity,
  PublishReplacement,
  PublishRequest,
} from '@godwit/broker/core/ports'
import { LATER } from '@godwit/broker/core/ports'
import { scramKeys } from '@godwit/broker/guard/scram'
import { ScramUsers } from '@godwit/broker/guard/scram-users'
import { type Hooks, HooksGuard } from '@godwit/broker/hooks'
import type { ConnectPacket, QoS } from '@godwit/packet'
import type { GuardPlan } from '../plan.ts'
import type { SeededRandom } from './random.ts'
import type { Schedule } from './schedule.ts'

export const SCRAM_METHOD = 'SCRAM-SHA-256'
export const SCRAM_USER = 'user'
export const SCRAM_PASSWORD = 'pencil'
/** The name of who may not come in; it has no right password either. */
export const STRANGER = 'stranger'
/** Nothing here waits in real time. */
const TIMEOUT_MS = 0x7fff_ffff
const ITERATIONS = 4096
/** Slow on purpose, so once. */
const KEYS = scramKeys(
  SCRAM_PASSWORD,
  ITERATIONS,
  Uint8Array.from({ length: 16 }, (_, i) => i),
)

type Verdict = AuthenticationVerdict | number | PublishReplacement

/** What a question that is open is about. */
export type Question = 'connect' | 'publish' | 'subscribe'

export class LateGuard implements Guard {
  readonly authenticates: boolean
  readonly checksSubscriptions: boolean
  readonly checksPermissions: boolean
  readonly inspectsMessages: boolean
  readonly authenticationMethods: readonly string[]
  /** Answers come soon. */
  isCalm = false
  readonly #guard: HooksGuard
  readonly #plan: GuardPlan
  readonly #schedule: Schedule
  readonly #random: SeededRandom
  readonly #open = new Map<number, Question>()
  readonly #thinks: () => void

  /**
   * @param decided takes the late answers of this process
   * @param thinks hears that there will be one
   */
  constructor(
    plan: GuardPlan,
    schedule: Schedule,
    random: SeededRandom,
    decided: (ticket: number, verdict: Verdict) => void,
    thinks: () => void,
  ) {
    this.#thinks = thinks
    this.#plan = plan
    this.#schedule = schedule
    this.#random = random
    this.#guard = new HooksGuard({
      hooks: this.#hooks(),
      enhanced: plan.hasScram ? new ScramUsers({ users: { [SCRAM_USER]: KEYS } }) : null,
      timeoutMs: TIMEOUT_MS,
      decided: (ticket, verdict) => {
        this.#open.delete(ticket)
        decided(ticket, verdict)
      },
      report: (_hook, error) => schedule.fail(error),
    })
    this.authenticates = this.#guard.authenticates
    this.checksSubscriptions = this.#guard.checksSubscriptions
    this.checksPermissions = this.#guard.checksPermissions
    this.inspectsMessages = this.#guard.inspectsMessages
    this.authenticationMethods = this.#guard.authenticationMethods
  }

  get generation(): number {
    return this.#guard.generation
  }

  /** What the ticket waits for; null when it does not wait for the guard. */
  questionOf(ticket: number): Question | null {
    return this.#open.get(ticket) ?? null
  }

  authenticate(request: ConnectRequest): AuthenticationVerdict | null {
    const { ticket } = request
    return this.#asked(ticket, 'connect', null, this.#guard.authenticate(request))
  }

  proceed(
    ticket: number,
    identity: Identity,
    method: string,
    data: Uint8Array | null,
    again: boolean,
  ): AuthenticationVerdict | null {
    const verdict = this.#guard.proceed(ticket, identity, method, data, again)
    return this.#asked(ticket, 'connect', null, verdict)
  }

  abandon(ticket: number): void {
    this.#open.delete(ticket)
    this.#guard.abandon(ticket)
  }

  unusable(error: Error): void {
    this.#guard.unusable(error)
  }

  mayPublish(identity: Identity, topic: string, qos: QoS, retain: boolean, ticket: number): number {
    const verdict = this.#guard.mayPublish(identity, topic, qos, retain, ticket)
    return this.#asked(ticket, 'publish', LATER, verdict)
  }

  maySubscribe(identity: Identity, filter: string, qos: QoS, ticket: number): number {
    const verdict = this.#guard.maySubscribe(identity, filter, qos, ticket)
    return this.#asked(ticket, 'subscribe', LATER, verdict)
  }

  mayReceive(identity: Identity, topic: string): boolean {
    return this.#guard.mayReceive(identity, topic)
  }

  inspect(request: PublishRequest): number | PublishReplacement {
    return this.#asked(request.ticket, 'publish', LATER, this.#guard.inspect(request))
  }

  #asked<T>(ticket: number, question: Question, later: T, verdict: T): T {
    if (verdict === later) {
      this.#open.set(ticket, question)
      this.#thinks()
    }
    return verdict
  }

  #hooks(): Hooks {
    const { forbidden, discarded, asks } = this.#plan
    const hooks: Hooks = {}
    const isWelcome = (username: string | null): boolean => username !== STRANGER
    if (asks.includes('connect')) {
      hooks.authenticate = ({ username }) => this.#think(isWelcome(username))
    } else if (this.#plan.hasScram) hooks.authenticate = ({ username }) => isWelcome(username)
    if (asks.includes('publish')) {
      hooks.authorizePublish = (_client, topic) => this.#think(topic !== forbidden)
    }
    if (asks.includes('subscribe')) hooks.subscribe = () => this.#think(true)
    if (asks.includes('inspect')) {
      hooks.publish = ({ topic }) => this.#think(topic === discarded ? 'discard' : undefined)
    }
    return hooks
  }

  /** The answer, now or later. */
  #think<T>(answer: T): T | Promise<T> {
    if (this.#random.chance(0.3)) return answer
    const slow = this.#random.chance(0.03) ? 10 : 1
    const most = this.isCalm ? 0 : this.#plan.delayMsMax
    const delayMs = this.#random.below(most + 1) * slow
    return new Promise(resolve => {
      this.#schedule.after(delayMs, () => {
        this.#schedule.hasPromises = true
        resolve(answer)
      })
    })
  }
}

/** There is somebody to say who may come in. */
export function judgesLogins(plan: GuardPlan | null): boolean {
  return plan !== null && (plan.hasScram || plan.asks.includes('connect'))
}

/** What the model says: this CONNECT is refused. */
export function isStranger(plan: GuardPlan | null, { username }: ConnectPacket): boolean {
  return judgesLogins(plan) && username === STRANGER
}

/** What the model says: nobody gets a message of this topic. */
export function isSilenced(plan: GuardPlan | null, topic: string): boolean {
  if (plan === null) return false
  const { asks, forbidden, discarded } = plan
  return (
    (asks.includes('publish') && topic === forbidden) ||
    (asks.includes('inspect') && topic === discarded)
  )
}
