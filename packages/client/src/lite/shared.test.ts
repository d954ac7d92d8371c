// The tests of the full client, run against the lite one, but for those of what it does not have.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { left, setKind } from '../testing/kind.ts'
import { openLiteForTests } from '../testing/lite.ts'

/** What the lite client does not have, as the names of tests. */
const Lacks: readonly RegExp[] = [
  // Options of CONNECT, what was negotiated, and checks of options before anything is opened.
  /^CONNECT is the first packet and says what the options say/,
  /^an identifier of 22 letters and digits is made up/,
  /^what the server allows is there to read$/,
  /^a client that authenticates in the way of MQTT 5.0/,
  /^before MQTT 5.0 CONNECT has no properties, and nothing of them is promised$/,
  /^a user name in the URL is used unless/,
  /^a packet limit below what every packet needs/,
  /before CONNACK fails with the reason$/,
  // Parts of the interface.
  /^(?:publish of QoS 1 with a time limit|unsubscribe, with a signal that never fires|writable) /,
  /^(?:subscribe with forEach|a loop over values|drain|unclaimed|request|requestMany) /,
  /^(?:respond, until it is granted|respond|reauthenticate|events) /,
  /^reasons that the server would not take are left out/,
  /^a reason string that nobody can write/,
  /^a store that fails closes the connection/,
  /^drain\(\) /,
  /^the end of `await using` (?:waits for what was published and for running handlers|of a sub)/,
  /^identifiers are not zero and not in use/,
  /^(?:aliases (?:stand for|do not survive)|a new alias never makes) /,
  /^QoS 0 without a connection is refused unless it may wait$/,
  /^(?:a full line: |the line has a limit in bytes)/,
  /^(?:tryPublish in a loop stops|a publish can be given up)/,
  /^SUBSCRIBE says what the options say/,
  /^(?:subscriptions of one turn share a packet|what is granted is told) ?/,
  /^what is subscribed and published in one turn/,
  /^subscriptions made without a connection are asked for/,
  /^unsubscribe\(\) without a connection waits/,
  /^(?:a share option with a slash|a shared subscription that is no local) /,
  /^user properties that nobody can write/,
  /^named wildcards become parameters/,
  /^(?:ack `(?:received|manual)`|a handler that fails|forEach) /,
  /^a listener gets messages at once, and keep/,
  /^(?:a full buffer of QoS 0: drop-newest|`(?:latest-per-topic|error|pause)` )/,
  /^before MQTT 5.0 reading stops at the receive maximum/,
  /^(?:an abort signal ends a subscription|filters that overlap get identifiers)/,
  /^shared subscriptions are not asked of a server that has none$/,
  /^messages of a resumed session wait until somebody subscribes$/,
  /^the server may use every alias up to the maximum/,
  /^(?:QoS 2 is taken once until PUBREL|an identifier that PUBREC has refused)/,
  /^(?:the answer to AUTH|re-authentication is AUTH|a re-authentication that the client)/,
]

setKind({ name: 'lite: ', open: openLiteForTests, lacks: Lacks })
await import('../connecting.test.ts')
await import('../ending.test.ts')
await import('../falling-back.test.ts')
await import('../misbehaving.test.ts')
await import('../publishing.test.ts')
await import('../receiving.test.ts')
await import('../reentering.test.ts')
await import('../resuming.test.ts')
await import('../statements.test.ts')
await import('../trying-anew.test.ts')
await import('../violations.test.ts')

test('every test that is left out is there for the full client', () => {
  for (const pattern of Lacks)
    assert.ok(
      left.some(name => pattern.test(name)),
      `${pattern}`,
    )
})
