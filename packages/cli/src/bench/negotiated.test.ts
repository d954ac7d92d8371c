// What a CONNACK leaves to a run, at each limit and one above it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalOf } from './negotiated.ts'

const MODEST = { qos: 0, retains: false, filters: ['a/0'], packetBytesMax: 100 } as const

test('a broker that says nothing takes everything', () => {
  const all = { qos: 2, retains: true, filters: ['$share/g/+/#'], packetBytesMax: 1e9 } as const
  assert.equal(refusalOf({}, all), null)
})

test('no QoS above the maximum is sent [MQTT-3.2.2-11]', () => {
  assert.equal(refusalOf({ maximumQoS: 1 }, { ...MODEST, qos: 1 }), null)
  assert.match(
    refusalOf({ maximumQoS: 1 }, { ...MODEST, qos: 2 }) ?? '',
    /QoS up to 1: use --qos 1/,
  )
  assert.match(refusalOf({ maximumQoS: 0 }, { ...MODEST, qos: 1 }) ?? '', /use --qos 0/)
})

test('no retained message goes to who takes none [MQTT-3.2.2-14]', () => {
  assert.equal(refusalOf({ retainAvailable: 0 }, MODEST), null)
  assert.equal(refusalOf({ retainAvailable: 1 }, { ...MODEST, retains: true }), null)
  assert.match(refusalOf({ retainAvailable: 0 }, { ...MODEST, retains: true }) ?? '', /retained/)
})

test('no packet is larger than the maximum [MQTT-3.2.2-15]', () => {
  assert.equal(refusalOf({ maximumPacketSize: 100 }, MODEST), null)
  const text = refusalOf({ maximumPacketSize: 99 }, MODEST)
  assert.equal(text, 'the broker takes packets up to 99 bytes (99 B), those of this run have 100')
})

test('filters that a broker has not are named', () => {
  const noWildcards = { wildcardSubscriptionAvailable: 0 }
  assert.equal(refusalOf(noWildcards, MODEST), null)
  assert.match(refusalOf(noWildcards, { ...MODEST, filters: ['a', 'b/+'] }) ?? '', /b\/\+/)
  const noShares = { sharedSubscriptionAvailable: 0 }
  assert.equal(refusalOf(noShares, { ...MODEST, filters: ['a/#'] }), null)
  assert.match(refusalOf(noShares, { ...MODEST, filters: ['$share/g/a'] }) ?? '', /no shared/)
})
