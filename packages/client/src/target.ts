// Where a client connects to: what its caller gave, as a function that is asked at each attempt.

import type { ResolvedTarget, ResolveTarget } from './attempt.ts'
import { invalidArgument } from './errors.ts'
import type { Attempt, ConnectOptions } from './options.ts'
import type { Dial, Platform, TlsOptions } from './transport.ts'

/** A URL, an open stream, or `{ dial }` for a transport of your own. */
export type ConnectTo = string | URL | object | { readonly dial: Dial }

/** Where to connect to; a function is asked at each attempt. */
export type ConnectTarget = ConnectTo | ((attempt: Attempt) => ConnectTo | Promise<ConnectTo>)

/** What of the options says how a URL is dialled. */
type Given = Pick<ConnectOptions, 'tls' | 'headers' | 'localAddress'>

/** A URL of before: thousands of clients of one server have one resolver. */
interface Known {
  readonly key: readonly unknown[]
  readonly resolver: ResolveTarget
}

const NO_TLS: TlsOptions = Object.freeze({})
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({})
let latest: Known | null = null

/** @throws MqttError `invalid-argument` for what cannot be connected to */
export function resolverOf(
  platform: Platform,
  target: ConnectTarget,
  packetBytesMax: number,
  given: Given,
): ResolveTarget {
  if (typeof target === 'function') {
    return async attempt => resolveOne(platform, await target(attempt), packetBytesMax, given)
  }
  if (typeof target === 'string') return urlResolver(platform, target, packetBytesMax, given)
  if (typeof target !== 'object' || target === null || target instanceof URL || 'dial' in target) {
    // What is wrong with it is told before anything begins.
    return always(resolveOne(platform, target, packetBytesMax, given))
  }
  // A stream serves one connection only.
  let used = false
  return () => {
    if (used) throw invalidArgument('a stream cannot be opened again: give a function instead')
    used = true
    return resolveOne(platform, target, packetBytesMax, given)
  }
}

function urlResolver(
  platform: Platform,
  to: string,
  packetBytesMax: number,
  given: Given,
): ResolveTarget {
  const key = [platform, to, packetBytesMax, given.tls, given.headers, given.localAddress]
  if (latest === null || key.some((part, i) => part !== latest?.key[i])) {
    latest = { key, resolver: always(resolveOne(platform, to, packetBytesMax, given)) }
  }
  return latest.resolver
}

function always(resolved: ReturnType<ResolveTarget>): ResolveTarget {
  return () => resolved
}

function resolveOne(
  platform: Platform,
  to: ConnectTo,
  packetBytesMax: number,
  given: Given,
): ResolvedTarget | Promise<ResolvedTarget> {
  const credentials = null
  if (typeof to !== 'string' && !(to instanceof URL)) {
    if (typeof to !== 'object' || to === null) throw invalidArgument('expected a URL or a stream')
    if ('dial' in to && typeof to.dial === 'function') return { dial: to.dial as Dial, credentials }
    const adopted = platform.adopt(to)
    return adopted instanceof Promise ? adopted.then(adoptedTarget) : adoptedTarget(adopted)
  }
  let url: URL
  let username: string
  let password: string
  try {
    url = new URL(to)
    username = decodeURIComponent(url.username)
    password = decodeURIComponent(url.password)
  } catch (cause) {
    // Not who, and no password.
    throw invalidArgument(`not a URL like wss://host/mqtt: ${String(to).split('@').pop()}`, cause)
  }
  const { tls = NO_TLS, headers = NO_HEADERS, localAddress = '' } = given
  const dial = platform.dial(url, { tls, headers, localAddress, packetBytesMax })
  if (username === '' && password === '') return { dial, credentials }
  return { dial, credentials: { username, ...(password !== '' && { password }) } }
}

function adoptedTarget(dial: Dial | null): ResolvedTarget {
  if (dial === null) throw invalidArgument('expected a URL or an open stream')
  return { dial, credentials: null }
}
