// Options that are none are refused with the one that was meant.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from './index.ts'
import { checkListen } from './listen.ts'
import { OptionError } from './options.ts'

function refusal(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof OptionError, String(error))
    return error.message
  }
  return assert.fail('it was accepted')
}

for (const [options, said] of [
  [{ statsIntervallSeconds: 1 }, 'statsIntervallSeconds: there is no such option; was stats'],
  [{ limit: {} }, 'limit: there is no such option; was limits meant?'],
  [{ sotre: 'none' }, 'sotre: there is no such option; was store meant?'],
  [
    { limits: { packetBytes: 1 } },
    'limits.packetBytes: there is no such option; was packetBytesMax',
  ],
  [{ hooks: { authorise: 1 } }, 'hooks.authorise: there is no such option; was auth'],
  [{ store: { dir: 'x' } }, 'store.dir: there is no such option'],
  [{ colour: 'red' }, 'colour: there is no such option'],
  [{ authenticate: () => true }, 'authenticate: there is no such option; was hooks.authenticate'],
  [{ maxConnections: 1 }, 'maxConnections: there is no such option; was limits.connectionsMax'],
  [{ limits: { max_connections: 1 } }, 'limits.max_connections: there is no such option; was conn'],
] as const) {
  test(`createBroker refuses ${JSON.stringify(options)}`, () => {
    const message = refusal(() => createBroker(options as object))
    assert.ok(message.startsWith(said), message)
  })
}

test('what is near nothing names nothing', () => {
  assert.ok(!refusal(() => createBroker({ port: 1 } as object)).includes('meant'))
  assert.ok(refusal(() => checkListen({ prot: 1 } as object)).endsWith('was port meant?'))
})
