// Which packet may carry which property, in full: table 2-4 of MQTT 5.0 once more.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketType, PropertyId } from './constants.ts'
import { PacketError } from './errors.ts'
import type { Properties } from './packets.ts'
import { type PropertyOwner, readProperties, WILL, writeProperties } from './properties.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const { CONNECT, CONNACK, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH } = PacketType
const { PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK } = PacketType

const OWNERS: readonly PropertyOwner[] = [
  WILL,
  CONNECT,
  CONNACK,
  PUBLISH,
  PUBACK,
  PUBREC,
  PUBREL,
  PUBCOMP,
  SUBSCRIBE,
  SUBACK,
  UNSUBSCRIBE,
  UNSUBACK,
  DISCONNECT,
  AUTH,
]

const BYTES = new Uint8Array(0)
const ANSWERS = [CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH]

/** Each property with a value of its type and its carriers. */
const expected: Record<
  keyof typeof PropertyId,
  readonly [example: Properties, carriers: readonly PropertyOwner[]]
> = {
  PAYLOAD_FORMAT_INDICATOR: [{ payloadFormatIndicator: 1 }, [WILL, PUBLISH]],
  MESSAGE_EXPIRY_INTERVAL: [{ messageExpiryInterval: 0 }, [WILL, PUBLISH]],
  CONTENT_TYPE: [{ contentType: '' }, [WILL, PUBLISH]],
  RESPONSE_TOPIC: [{ responseTopic: 'r' }, [WILL, PUBLISH]],
  CORRELATION_DATA: [{ correlationData: BYTES }, [WILL, PUBLISH]],
  SUBSCRIPTION_IDENTIFIER: [{ subscriptionIdentifiers: [1] }, [PUBLISH, SUBSCRIBE]],
  SESSION_EXPIRY_INTERVAL: [{ sessionExpiryInterval: 0 }, [CONNECT, CONNACK, DISCONNECT]],
  ASSIGNED_CLIENT_IDENTIFIER: [{ assignedClientIdentifier: '' }, [CONNACK]],
  SERVER_KEEP_ALIVE: [{ serverKeepAlive: 0 }, [CONNACK]],
  AUTHENTICATION_METHOD: [{ authenticationMethod: '' }, [CONNECT, CONNACK, AUTH]],
  AUTHENTICATION_DATA: [
    { authenticationData: BYTES, authenticationMethod: '' },
    [CONNECT, CONNACK, AUTH],
  ],
  REQUEST_PROBLEM_INFORMATION: [{ requestProblemInformation: 0 }, [CONNECT]],
  WILL_DELAY_INTERVAL: [{ willDelayInterval: 0 }, [WILL]],
  REQUEST_RESPONSE_INFORMATION: [{ requestResponseInformation: 0 }, [CONNECT]],
  RESPONSE_INFORMATION: [{ responseInformation: '' }, [CONNACK]],
  SERVER_REFERENCE: [{ serverReference: '' }, [CONNACK, DISCONNECT]],
  REASON_STRING: [{ reasonString: '' }, ANSWERS],
  RECEIVE_MAXIMUM: [{ receiveMaximum: 1 }, [CONNECT, CONNACK]],
  TOPIC_ALIAS_MAXIMUM: [{ topicAliasMaximum: 0 }, [CONNECT, CONNACK]],
  TOPIC_ALIAS: [{ topicAlias: 1 }, [PUBLISH]],
  MAXIMUM_QOS: [{ maximumQoS: 0 }, [CONNACK]],
  RETAIN_AVAILABLE: [{ retainAvailable: 0 }, [CONNACK]],
  USER_PROPERTY: [{ userProperties: [['', '']] }, OWNERS],
  MAXIMUM_PACKET_SIZE: [{ maximumPacketSize: 1 }, [CONNECT, CONNACK]],
  WILDCARD_SUBSCRIPTION_AVAILABLE: [{ wildcardSubscriptionAvailable: 0 }, [CONNACK]],
  SUBSCRIPTION_IDENTIFIER_AVAILABLE: [{ subscriptionIdentifierAvailable: 0 }, [CONNACK]],
  SHARED_SUBSCRIPTION_AVAILABLE: [{ sharedSubscriptionAvailable: 0 }, [CONNACK]],
}

function read(bytes: Uint8Array, owner: PropertyOwner): Properties {
  const reader = new Reader()
  reader.reset(bytes, 0, bytes.length)
  const properties = readProperties(reader, owner, 5)
  reader.finish()
  return properties
}

for (const [name, [example, carriers]] of Object.entries(expected)) {
  const id = PropertyId[name as keyof typeof PropertyId]

  test(`property ${name} is written and read in the packets that carry it, and in no other`, () => {
    const [carrier = WILL] = carriers
    const writer = new Writer()
    writeProperties(writer, example, carrier, 5)
    const bytes = writer.finish()
    assert.equal(bytes[1], id)
    for (const owner of OWNERS) {
      if (carriers.includes(owner)) {
        assert.deepEqual(read(bytes, owner), example)
      } else {
        assert.throws(() => read(bytes, owner), { code: 'malformed-packet', reasonCode: 0x81 })
        assert.throws(() => writeProperties(new Writer(), example, owner, 5), {
          code: 'invalid-packet',
        })
      }
    }
  })

  test(`property ${name} is not allowed twice, unless it says so`, () => {
    const writer = new Writer()
    const [carrier = WILL] = carriers
    writeProperties(writer, example, carrier, 5)
    const once = writer.finish().subarray(1)
    const twice = Uint8Array.from([once.length * 2, ...once, ...once])
    for (const owner of carriers) {
      const repeatable =
        id === PropertyId.USER_PROPERTY ||
        (id === PropertyId.SUBSCRIPTION_IDENTIFIER && owner === PUBLISH)
      if (repeatable) read(twice, owner)
      else assert.throws(() => read(twice, owner), { code: 'protocol-error', reasonCode: 0x82 })
    }
  })
}

test('an identifier that no property has is malformed', () => {
  const known = new Set<number>(Object.values(PropertyId))
  for (let id = 0; id < 128; id++) {
    if (known.has(id)) continue
    for (const owner of OWNERS) {
      assert.throws(
        () => read(Uint8Array.of(2, id, 0), owner),
        error => error instanceof PacketError && error.message === 'an unknown property',
      )
    }
  }
})
