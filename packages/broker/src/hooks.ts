// The guard made of an embedder's functions. A function that throws, rejects or takes too long
// hurts only what it was asked about; the embedder is told through `report`.

import type { Properties, QoS } from '@godwit/packet'
import { ReasonCode } from '@godwit/packet'
import {
  type AuthenticationVerdict,
  type ConnectRequest,
  DISCARD,
  type Guard,
  type Identity,
  LATER,
  type PublishReplacement,
  type PublishRequest,
} from './core/ports.ts'

type Later<T> = T | Promise<T>

/** A client that wants to come in. */
export type ConnectingClient = Omit<ConnectRequest, 'ticket'>

/** What an authenticate hook may say in words of its own. */
export type AuthenticationAnswer =
  | boolean
  | number
  | Pick<AuthenticationVerdict, 'reasonCode' | 'reasonString' | 'serverReference' | 'username'>

/** True or 0: allowed. False: not authorized. A number: the reason code of the refusal. */
export type PermissionAnswer = boolean | number

/** A message that a client publishes, as the publish hook sees it. */
export interface PublishedMessage {
  readonly topic: string
  /** Belongs to the broker: to be copied by who keeps or changes it. */
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

/**
 * Nothing (or true): publish as it is. `'discard'`: acknowledge it and deliver it to nobody. A
 * number: refuse it with that reason code. An object: publish this instead.
 */
export type PublishAnswer = undefined | true | 'discard' | number | Partial<PublishedMessage>

/** Functions that decide. Each may return a promise but `authorizeReceive`. */
export interface Hooks {
  /** Whether a client may come in. False is 0x87, not authorized. */
  authenticate?(client: ConnectingClient): Later<AuthenticationAnswer>
  authorizePublish?(
    client: Identity,
    topic: string,
    qos: QoS,
    retain: boolean,
  ): Later<PermissionAnswer>
  authorizeSubscribe?(client: Identity, filter: string, qos: QoS): Later<PermissionAnswer>
  /** Whether a client may have a message of a topic that its filters match. */
  authorizeReceive?(client: Identity, topic: string): boolean
  /** Sees each message that is allowed before its receivers do. */
  publish?(message: PublishedMessage, client: Identity): Later<PublishAnswer>
  /** Sees each subscription that is allowed before it is made; may refuse it. */
  subscribe?(client: Identity, filter: string, qos: QoS): Later<PermissionAnswer | undefined>
}

/** Enhanced authentication; guard/scram-users.ts is one. */
export interface EnhancedAuthentication {
  readonly method: string
  begin(ticket: number, data: Uint8Array | null): Later<AuthenticationVerdict>
  finish(
    ticket: number,
    data: Uint8Array | null,
    onlyUser: string | null,
  ): Later<AuthenticationVerdict>
  abandon(ticket: number): void
}

export interface HooksGuardOptions {
  readonly hooks: Hooks
  readonly enhanced: EnhancedAuthentication | null
  readonly timeoutMs: number
  /** Gives a late answer to the core. */
  readonly decided: (
    ticket: number,
    verdict: AuthenticationVerdict | number | PublishReplacement,
  ) => void
  readonly report: (hook: string, error: Error) => void
}

/** Thrown into the embedder's report when a hook did not answer in time. */
export class HookTimeoutError extends Error {
  override readonly name = 'HookTimeoutError'
}

// An authentication that cannot be made is the server's fault: the client may come again.
const AUTHENTICATION_BROKEN: AuthenticationVerdict = {
  reasonCode: ReasonCode.SERVER_UNAVAILABLE,
  reasonString: 'authentication is not available',
}

export class HooksGuard implements Guard {
  readonly authenticates: boolean
  readonly checksSubscriptions: boolean
  readonly checksPermissions: boolean
  readonly inspectsMessages: boolean
  readonly authenticationMethods: readonly string[]
  generation = 0
  /** A hook is being called: the core is in the middle of something. */
  asking = false
  private readonly options: HooksGuardOptions
  private readonly hooks: Hooks
  /** Tickets that repeat an authentication. */
  private readonly again = new Set<number>()

  constructor(options: HooksGuardOptions) {
    const { hooks, enhanced } = options
    this.options = options
    this.hooks = hooks
    this.authenticates = hooks.authenticate !== undefined || enhanced !== null
    this.checksSubscriptions =
      hooks.authorizeSubscribe !== undefined || hooks.subscribe !== undefined
    this.checksPermissions =
      hooks.authorizePublish !== undefined || hooks.authorizeReceive !== undefined
    this.inspectsMessages = hooks.publish !== undefined
    this.authenticationMethods = enhanced === null ? [] : [enhanced.method]
  }

  authenticate(request: ConnectRequest): AuthenticationVerdict | null {
    const { hooks } = this
    const { enhanced } = this.options
    const { ticket, ...client } = request
    const data = request.properties.authenticationData ?? null
    const method = request.properties.authenticationMethod
    if (enhanced !== null && method === enhanced.method) {
      return this.askVerdict('authenticate', ticket, () => enhanced.begin(ticket, data))
    }
    if (hooks.authenticate === undefined) {
      return enhanced === null
        ? { reasonCode: 0 }
        : { reasonCode: ReasonCode.NOT_AUTHORIZED, reasonString: `use ${enhanced.method}` }
    }
    return this.askVerdict('authenticate', ticket, () => {
      const answer = hooks.authenticate?.(client) ?? false
      return isPromise(answer) ? Promise.resolve(answer).then(verdictOf) : verdictOf(answer)
    })
  }

  proceed(
    ticket: number,
    identity: Identity,
    method: string,
    data: Uint8Array | null,
    again: boolean,
  ): AuthenticationVerdict | null {
    const { enhanced } = this.options
    if (enhanced === null || enhanced.method !== method) {
      return { reasonCode: ReasonCode.BAD_AUTHENTICATION_METHOD }
    }
    if (again) {
      this.again.add(ticket)
      return this.askVerdict('authenticate', ticket, () => enhanced.begin(ticket, data))
    }
    // Whoever authenticates again must be who it was.
    const onlyUser = this.again.delete(ticket) ? identity.username : null
    return this.askVerdict('authenticate', ticket, () => enhanced.finish(ticket, data, onlyUser))
  }

  abandon(ticket: number): void {
    this.again.delete(ticket)
    this.options.enhanced?.abandon(ticket)
  }

  mayPublish(identity: Identity, topic: string, qos: QoS, retain: boolean, ticket: number): number {
    const { hooks } = this
    if (hooks.authorizePublish === undefined) return 0
    return this.ask(
      'authorizePublish',
      ticket,
      () => hooks.authorizePublish?.(identity, topic, qos, retain),
      codeOf,
      ReasonCode.NOT_AUTHORIZED,
    )
  }

  maySubscribe(identity: Identity, filter: string, qos: QoS, ticket: number): number {
    const { hooks } = this
    if (hooks.authorizeSubscribe === undefined && hooks.subscribe === undefined) return 0
    const allowed = (): Later<PermissionAnswer | undefined> =>
      hooks.subscribe?.(identity, filter, qos)
    const both = (): Later<PermissionAnswer | undefined> => {
      const answer = hooks.authorizeSubscribe?.(identity, filter, qos)
      if (isPromise(answer)) {
        return Promise.resolve(answer).then(code => (codeOf(code) === 0 ? allowed() : code))
      }
      return codeOf(answer) === 0 ? allowed() : answer
    }
    return this.ask('authorizeSubscribe', ticket, both, codeOf, ReasonCode.NOT_AUTHORIZED)
  }

  mayReceive(identity: Identity, topic: string): boolean {
    const { hooks } = this
    if (hooks.authorizeReceive === undefined) return true
    this.asking = true
    try {
      const answer: unknown = hooks.authorizeReceive(identity, topic)
      if (typeof answer !== 'boolean') throw new TypeError(noBoolean(answer))
      return answer
    } catch (error) {
      this.options.report('authorizeReceive', errorOf(error))
      return false
    } finally {
      this.asking = false
    }
  }

  inspect(request: PublishRequest): number | PublishReplacement {
    const { ticket, identity, ...message } = request
    return this.ask(
      'publish',
      ticket,
      () => this.hooks.publish?.(message, identity),
      answer => replacementOf(answer, message),
      ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
    )
  }

  unusable(error: Error): void {
    this.options.report('publish', error)
  }

  private askVerdict(
    hook: string,
    ticket: number,
    call: () => Later<AuthenticationVerdict>,
  ): AuthenticationVerdict | null {
    const verdict = this.ask<AuthenticationVerdict, AuthenticationVerdict>(
      hook,
      ticket,
      call,
      answer => answer,
      AUTHENTICATION_BROKEN,
    )
    return typeof verdict === 'number' ? null : verdict
  }

  /** @returns what came of it, or LATER */
  private ask<A, V extends AuthenticationVerdict | number | PublishReplacement>(
    hook: string,
    ticket: number,
    call: () => Later<A>,
    read: (answer: A) => V,
    broken: V,
  ): V | typeof LATER {
    this.asking = true
    try {
      const answer = call()
      if (!isPromise(answer)) return read(answer)
      this.await(hook, ticket, Promise.resolve(answer).then(read), broken)
      return LATER
    } catch (error) {
      this.options.report(hook, errorOf(error))
      return broken
    } finally {
      this.asking = false
    }
  }

  private await<V extends AuthenticationVerdict | number | PublishReplacement>(
    hook: string,
    ticket: number,
    answer: Promise<V>,
    broken: V,
  ): void {
    const { timeoutMs, decided, report } = this.options
    let open = true
    const settle = (verdict: V): void => {
      if (!open) return
      open = false
      clearTimeout(timer)
      decided(ticket, verdict)
    }
    const fail = (error: unknown): void => {
      if (!open) return
      report(hook, errorOf(error))
      settle(broken)
    }
    const timer = setTimeout(() => {
      fail(new HookTimeoutError(`the hook ${hook} did not answer within ${timeoutMs} ms`))
    }, timeoutMs)
    // A hook that hangs keeps nobody else from ending.
    timer.unref()
    answer.then(settle, fail)
  }
}

/** Those of other libraries count as well. */
function isPromise<T>(value: Later<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value
}

function verdictOf(answer: AuthenticationAnswer): AuthenticationVerdict {
  if (typeof answer === 'object' && answer !== null) {
    return { ...answer, reasonCode: refusalOrZero(answer.reasonCode) }
  }
  return { reasonCode: codeOf(answer) }
}

/** A promise would be taken for yes. */
function noBoolean(answer: unknown): string {
  const what = isPromise(answer) ? 'a promise' : String(answer)
  return `the hook authorizeReceive returned ${what}, expected true or false`
}

/** Whatever a hook returns that is neither true, 0 nor nothing refuses. */
function codeOf(answer: PermissionAnswer | undefined): number {
  if (answer === true || answer === undefined) return 0
  return typeof answer === 'number' ? refusalOrZero(answer) : ReasonCode.NOT_AUTHORIZED
}

function refusalOrZero(code: number): number {
  if (code === 0 || (Number.isInteger(code) && code >= 0x80 && code <= 0xff)) return code
  throw new RangeError(`a hook returned the reason code ${code}, expected 0 or 128 to 255`)
}

function replacementOf(
  answer: PublishAnswer,
  message: PublishedMessage,
): number | PublishReplacement {
  if (answer === undefined || answer === true) return 0
  if (answer === 'discard') return DISCARD
  if (typeof answer === 'number') return refusalOrZero(answer)
  if (typeof answer !== 'object' || answer === null) {
    throw new TypeError(`the hook publish returned ${String(answer)}`)
  }
  return { ...message, ...answer }
}

function errorOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
