// The features that `godwit check` tries: each is used as a client would use it, and the result is
// set beside what CONNACK said.

import type { Client } from '@godwit/client'
import { PacketType } from '@godwit/packet'
import { attempt, expect, type Finding, type Probing } from './probe.ts'

const EXPIRY_WAIT_MS = 1500
const SHARED_MESSAGES = 10

type Probe = (probing: Probing, client: Client) => Promise<Finding>

/** For every version. */
export const CommonProbes: readonly Probe[] = [
  (probing, client) => qos(probing, client, 0),
  (probing, client) => qos(probing, client, 1),
  (probing, client) => qos(probing, client, 2),
  retained,
  wildcards,
  sessions,
  wills,
]

/** For MQTT 5.0. */
export const V5Probes: readonly Probe[] = [
  shared,
  identifiers,
  noLocal,
  retainAsPublished,
  retainHandling,
  aliasesIn,
  aliasesOut,
  properties,
  messageExpiry,
  assignedClientId,
  scram,
]

function qos(probing: Probing, client: Client, level: 0 | 1 | 2): Promise<Finding> {
  const declared = probing.level === 5 ? client.negotiated.maximumQoS >= level : null
  return attempt(`qos${level}`, `QoS ${level}`, declared, async () => {
    const topic = probing.topic(`qos${level}`)
    const subscription = client.subscribe(topic, { qos: 2 })
    const granted = (await subscription.ready).qos
    expect(granted >= level, `a subscription is granted QoS ${granted}`)
    await probing.publish(client, topic, 'x', { qos: level })
    const message = await probing.next(subscription)
    expect(message.qos === level, `a message arrives at QoS ${message.qos}`)
    await subscription.unsubscribe()
    return ''
  })
}

function retained(probing: Probing, client: Client): Promise<Finding> {
  const declared = probing.level === 5 ? client.negotiated.retainAvailable : null
  return attempt('retained', 'retained messages', declared, async () => {
    const topic = probing.topic('retained')
    await probing.publish(client, topic, 'kept', { qos: 1, retain: true })
    const subscription = client.subscribe(topic)
    const message = await probing.next(subscription)
    expect(message.retain && message.text() === 'kept', 'it arrives changed')
    await subscription.unsubscribe()
    await probing.clear(client, topic)
    return ''
  })
}

function wildcards(probing: Probing, client: Client): Promise<Finding> {
  const declared = probing.level === 5 ? client.negotiated.wildcardSubscriptions : null
  return attempt('wildcards', 'wildcard subscriptions', declared, async () => {
    const topic = probing.topic('wild/a/b')
    for (const filter of ['wild/+/b', 'wild/#']) {
      const subscription = client.subscribe(probing.topic(filter))
      await subscription.ready
      await probing.publish(client, topic, filter, { qos: 1 })
      expect((await probing.next(subscription)).text() === filter, `${filter} does not match`)
      await subscription.unsubscribe()
    }
    return ''
  })
}

function sessions(probing: Probing, client: Client): Promise<Finding> {
  return attempt('sessions', 'persistent sessions', null, async () => {
    const topic = probing.topic('session')
    const clientId = `${probing.root}/session`.replaceAll('/', '-')
    const keep = probing.level === 5 ? { sessionExpirySeconds: 60 } : { cleanStart: false }
    const first = await probing.connect({ clientId, ...keep })
    await first.subscribe(topic, { qos: 1 }).ready
    await first.close()
    await probing.publish(client, topic, 'queued', { qos: 1 })
    const second = await probing.connect({ clientId, ...keep, cleanStart: false })
    const { sessionPresent } = second.negotiated
    expect(sessionPresent, 'the session is not present after a reconnect')
    expect((await probing.next(second.unclaimed())).text() === 'queued', 'another message came')
    await second.close()
    const last = await probing.connect({ clientId, cleanStart: true })
    await last.close()
    return 'what was published meanwhile arrived'
  })
}

function wills(probing: Probing, client: Client): Promise<Finding> {
  return attempt('wills', 'wills', null, async () => {
    const topic = probing.topic('will')
    const subscription = client.subscribe(topic)
    await subscription.ready
    const victim = await probing.connect({ will: { topic, payload: 'died' } })
    await probing.crash(victim)
    expect((await probing.next(subscription)).text() === 'died', 'another message came')
    await subscription.unsubscribe()
    return ''
  })
}

function shared(probing: Probing, client: Client): Promise<Finding> {
  const declared = client.negotiated.sharedSubscriptions
  return attempt('shared', 'shared subscriptions', declared, async () => {
    const topic = probing.topic('shared')
    const members = [await probing.connect(), await probing.connect()]
    const counts = [0, 0]
    let all: () => void = () => undefined
    const done = new Promise<void>(resolve => {
      all = resolve
    })
    for (const [index, member] of members.entries()) {
      const listener = (): void => {
        counts[index] = (counts[index] ?? 0) + 1
        if ((counts[0] ?? 0) + (counts[1] ?? 0) >= SHARED_MESSAGES) all()
      }
      await member.subscribe(topic, { share: 'godwit', listener }).ready
    }
    for (let i = 0; i < SHARED_MESSAGES; i++) {
      await probing.publish(client, topic, String(i), { qos: 1 })
    }
    const late = new Promise<void>(resolve => {
      setTimeout(resolve, probing.timeoutMs).unref()
    })
    await Promise.race([done, late])
    await Promise.all(members.map(member => member.close()))
    const total = (counts[0] ?? 0) + (counts[1] ?? 0)
    expect(total === SHARED_MESSAGES, `${total} of ${SHARED_MESSAGES} messages came`)
    return `${counts.join(' and ')} of ${SHARED_MESSAGES} messages to two members`
  })
}

function identifiers(probing: Probing, client: Client): Promise<Finding> {
  const declared = client.negotiated.subscriptionIdentifiers
  return attempt('identifiers', 'subscription identifiers', declared, async () => {
    const topic = probing.topic('identifier')
    const subscription = client.subscribe(topic, { identifier: 77 })
    await subscription.ready
    await probing.publish(client, topic, 'x', { qos: 1 })
    const { subscriptionIdentifiers = [] } = (await probing.next(subscription)).properties
    expect(subscriptionIdentifiers.includes(77), 'the message comes without it')
    await subscription.unsubscribe()
    return ''
  })
}

function noLocal(probing: Probing, client: Client): Promise<Finding> {
  return attempt('noLocal', 'no local', null, async () => {
    const topic = probing.topic('local')
    const subscription = client.subscribe(topic, { noLocal: true })
    await subscription.ready
    await probing.publish(client, topic, 'own', { qos: 1 })
    const other = await probing.connect()
    await probing.publish(other, topic, 'end', { qos: 1 })
    const own = await probing.until(subscription, 'end')
    expect(own.length === 0, 'an own message comes back')
    await subscription.unsubscribe()
    await other.close()
    return ''
  })
}

function retainAsPublished(probing: Probing, client: Client): Promise<Finding> {
  return attempt('retainAsPublished', 'retain as published', null, async () => {
    const topic = probing.topic('published')
    const subscription = client.subscribe(topic, { retainAsPublished: true })
    await subscription.ready
    await probing.publish(client, topic, 'x', { qos: 1, retain: true })
    const { retain } = await probing.next(subscription)
    await subscription.unsubscribe()
    await probing.clear(client, topic)
    expect(retain, 'the flag is taken away')
    return ''
  })
}

function retainHandling(probing: Probing, client: Client): Promise<Finding> {
  return attempt('retainHandling', 'retain handling', null, async () => {
    const topic = probing.topic('handling')
    await probing.publish(client, topic, 'old', { qos: 1, retain: true })
    const subscription = client.subscribe(topic, { retainHandling: 'never' })
    await subscription.ready
    await probing.publish(client, topic, 'end', { qos: 1 })
    const old = await probing.until(subscription, 'end')
    await subscription.unsubscribe()
    await probing.clear(client, topic)
    expect(old.length === 0, 'a retained message comes all the same')
    return ''
  })
}

function aliasesIn(probing: Probing, client: Client): Promise<Finding> {
  const { topicAliasMaximum } = client.negotiated
  const declared = topicAliasMaximum > 0
  return attempt('aliasesToBroker', 'topic aliases to the broker', declared, async () => {
    expect(declared, 'the broker allows none')
    const topic = probing.topic('alias/in')
    const subscription = client.subscribe(topic)
    await subscription.ready
    for (const text of ['first', 'second']) {
      await probing.publish(client, topic, text, { qos: 1 })
      expect((await probing.next(subscription)).text() === text, 'another message came')
    }
    await subscription.unsubscribe()
    return `up to ${topicAliasMaximum}`
  })
}

function aliasesOut(probing: Probing, client: Client): Promise<Finding> {
  return attempt('aliasesFromBroker', 'topic aliases from the broker', null, async () => {
    let used = false
    const receiver = await probing.connect({
      topicAliasMaximum: 10,
      onPacket: (direction, packet) => {
        if (direction === 'sent' || packet.type !== PacketType.PUBLISH) return
        used ||= packet.properties.topicAlias !== undefined
      },
    })
    const topic = probing.topic('alias/out/of/some/length')
    const subscription = receiver.subscribe(topic)
    await subscription.ready
    for (let i = 0; i < 3; i++) {
      await probing.publish(client, topic, 'x', { qos: 1 })
      await probing.next(subscription)
    }
    await receiver.close()
    expect(used, 'it was allowed ten and used none')
    return ''
  })
}

function properties(probing: Probing, client: Client): Promise<Finding> {
  return attempt('properties', 'properties of messages', null, async () => {
    const topic = probing.topic('properties')
    const subscription = client.subscribe(topic)
    await subscription.ready
    await probing.publish(client, topic, 'x', {
      qos: 1,
      contentType: 'text/plain',
      responseTopic: 'a/b',
      correlationData: Uint8Array.from([0, 255]),
      utf8: true,
      userProperties: [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ],
    })
    const got = (await probing.next(subscription)).properties
    await subscription.unsubscribe()
    expect(got.contentType === 'text/plain', 'the content type is lost')
    expect(got.responseTopic === 'a/b', 'the response topic is lost')
    expect(got.correlationData?.[1] === 255, 'the correlation data is lost')
    expect(got.payloadFormatIndicator === 1, 'the payload format is lost')
    const pairs = (got.userProperties ?? []).map(pair => pair.join('=')).join()
    expect(pairs === 'b=1,a=2,b=3', `user properties arrive as ${pairs}`)
    return ''
  })
}

function messageExpiry(probing: Probing, client: Client): Promise<Finding> {
  return attempt('messageExpiry', 'message expiry', null, async () => {
    const topic = probing.topic('expiry')
    const options = { qos: 1, retain: true, messageExpirySeconds: 1 } as const
    await probing.publish(client, topic, 'old', options)
    await new Promise(resolve => setTimeout(resolve, EXPIRY_WAIT_MS))
    const subscription = client.subscribe(topic)
    await subscription.ready
    await probing.publish(client, topic, 'end', { qos: 1 })
    const old = await probing.until(subscription, 'end')
    await subscription.unsubscribe()
    await probing.clear(client, topic)
    expect(old.length === 0, 'a message is delivered after its expiry')
    return ''
  })
}

function assignedClientId(probing: Probing): Promise<Finding> {
  return attempt('assignedClientId', 'assigned client id', null, async () => {
    const client = await probing.connect({ clientId: '' })
    const { clientId } = client
    await client.close()
    expect(clientId !== '', 'none was assigned')
    return clientId
  })
}

function scram(probing: Probing): Promise<Finding> {
  return attempt('scram', 'enhanced authentication, SCRAM-SHA-256', null, async () => {
    let challenged = false
    const authenticator = {
      method: 'SCRAM-SHA-256',
      start: () => Buffer.from('n,,n=godwit,r=fyko+d2lbbFgONRv9qkxdawL'),
      next: () => {
        challenged = true
        throw new Error('enough')
      },
    }
    try {
      const client = await probing.connect({ authenticator })
      await client.close()
    } catch (error) {
      if (!challenged) throw error
    }
    expect(challenged, 'the broker does not answer with a challenge')
    return ''
  })
}
