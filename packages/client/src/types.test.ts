// What the compiler knows: names of wildcards become names of parameters, and a switch over the
// codes of errors or the types of events can be complete. What is wrong here does not compile.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from './client.ts'
import { MqttError, type MqttErrorCode } from './errors.ts'
import type { ClientEvent } from './events.ts'
import type * as Lite from './lite/types.ts'
import type { Message } from './message.ts'
import type { ConnectOptions } from './options.ts'
import type { PublishOptions } from './publisher.ts'
import type { Subscription } from './subscription.ts'
import type { SubscribeOptions } from './subscriptions.ts'
import type { ConnectTarget } from './target.ts'
import { parseTopicTemplate, type TopicParams, topicParams } from './topic-template.ts'
import { connect } from './transports/browser.ts'

/** True only for two types that are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Flat<T> = { [K in keyof T]: T[K] }
type Params<F extends string> = Flat<TopicParams<F>>
type Text<Names extends string> = { readonly [Name in Names]: string }
type None = Record<never, string>

/** Each row is true, or this does not compile. */
const Named: readonly [
  Same<Params<'site/+site/meter/+meter'>, Text<'site' | 'meter'>>,
  Same<Params<'site/+site/#rest'>, Text<'site' | 'rest'>>,
  Same<Params<'+only'>, Text<'only'>>,
  Same<Params<'$share/group/site/+site'>, Text<'site'>>,
  Same<Params<'a/+/b/#'>, Flat<None>>,
  Same<Params<'a/b+c'>, Flat<None>>,
  // A filter that the compiler does not know may have any names.
  Same<TopicParams<string>, Readonly<Record<string, string>>>,
] = [true, true, true, true, true, true, true]

type Subscribe = Client['subscribe']
type OneOf<S> = S extends Subscription<infer P> ? Flat<P> : never

/** Never called: only what it gives back matters. */
function subscriptions(client: Client): {
  one: Subscription<TopicParams<'a/+b'>>
  several: Subscription<TopicParams<'a/+b' | 'c/#d'>>
} {
  return {
    one: client.subscribe('a/+b'),
    several: client.subscribe(['a/+b', 'c/#d']),
  }
}

const Listened: readonly [
  Same<OneOf<ReturnType<typeof subscriptions>['one']>, Text<'b'>>,
  Same<Parameters<NonNullable<NonNullable<Parameters<Subscribe>[1]>['listener']>>[0], Message>,
] = [true, true]

test('the names that the compiler finds are those that a message has', () => {
  assert.ok([...Named, ...Listened].every(Boolean))
  const rows: readonly (readonly [string, string, Record<string, string>])[] = [
    ['site/+site/meter/+meter', 'site/n/meter/7', { site: 'n', meter: '7' }],
    ['site/+site/#rest', 'site/n/a/b', { site: 'n', rest: 'a/b' }],
    ['site/+site/#rest', 'site/n', { site: 'n', rest: '' }],
    ['+only', 'x', { only: 'x' }],
    ['$share/group/site/+site', 'site/n', { site: 'n' }],
    ['a/+/b/#', 'a/x/b/c', {}],
  ]
  for (const [filter, topic, params] of rows) {
    const found = topicParams(parseTopicTemplate(filter), topic)
    assert.deepEqual({ ...found }, params)
    assert.deepEqual(Object.keys(found), Object.keys(params))
  }
})

/** What to do about an error. A code that is left out, or that there is not, does not compile. */
function advice(code: MqttErrorCode): 'wait' | 'change' | 'give up' {
  switch (code) {
    case 'connect-failed':
    case 'connect-timeout':
    case 'connection-lost':
    case 'keep-alive-timeout':
    case 'server-disconnected':
    case 'not-connected':
    case 'queue-full':
    case 'buffer-full':
    case 'timeout':
    case 'no-responders':
      return 'wait'
    case 'connection-refused':
    case 'authentication-failed':
    case 'publish-refused':
    case 'subscribe-refused':
    case 'unsubscribe-refused':
    case 'packet-too-large':
    case 'qos-not-supported':
    case 'retain-not-supported':
    case 'not-supported':
    case 'invalid-argument':
      return 'change'
    case 'protocol-error':
    case 'session-lost':
    case 'invalid-payload':
    case 'store-failed':
    case 'aborted':
    case 'closed':
      return 'give up'
  }
}

/** The same for events. */
function importance(event: ClientEvent): number {
  switch (event.type) {
    case 'connected':
    case 'disconnected':
    case 'reconnecting':
      return 1
    case 'session-lost':
    case 'overflow':
    case 'unclaimed':
    case 'error':
      return 2
    case 'closed':
      return event.error === null ? 1 : 3
  }
}

test('a switch over the codes of errors and the types of events is complete', () => {
  const { code } = new MqttError('queue-full', 'too many')
  assert.equal(advice(code), 'wait')
  assert.equal(importance({ type: 'closed', error: null }), 1)
})

test('an application of the lite client goes on with the full one', () => {
  // A client, its options and its subscriptions: what one takes or gives, the other does too.
  const given: Same<keyof Lite.ConnectOptions & keyof ConnectOptions, keyof Lite.ConnectOptions> =
    true
  const open = (client: Client): Lite.Client => client
  const subscribe = (subscription: Subscription): Lite.Subscription => subscription
  const read = (message: Message): Lite.Message => message
  const options = (lite: Lite.ConnectOptions): ConnectOptions => lite
  const target = (lite: Lite.ConnectTarget): ConnectTarget => lite
  const wanted = (lite: Lite.SubscribeOptions): SubscribeOptions => lite
  const published = (lite: Lite.PublishOptions): PublishOptions => lite
  const full: (target: Lite.ConnectTarget, options: Lite.ConnectOptions) => Promise<Lite.Client> =
    connect
  const all = [open, subscribe, read, options, target, wanted, published, full]
  assert.deepEqual([given, all.every(each => typeof each === 'function')], [true, true])
})
