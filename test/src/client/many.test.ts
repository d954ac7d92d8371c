// What each of many clients keeps in the heap. `npm run bench -- client many` measures all of it,
// with sockets and as resident memory; this holds what it has found.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Client, connect, type Dial } from '@godwit/client'

const COUNT = 2000
/** It was 2.2 to 2.6 kB when this was written, and 3.4 kB before clients shared what they can. */
const HEAP_BYTES_MAX = 3000

/** A connection in memory that is accepted at once. */
const accepting: Dial = handler => {
  let isAccepted = false
  setImmediate(() => handler.opened())
  return {
    bufferedBytes: 0,
    canPause: true,
    write: () => {
      if (!isAccepted) setImmediate(() => handler.received(Uint8Array.of(0x20, 3, 0, 0, 0)))
      isAccepted = true
      return true
    },
    pause: () => undefined,
    resume: () => undefined,
    end: () => setImmediate(() => handler.closed(null)),
    destroy: () => setImmediate(() => handler.closed(null)),
  }
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
}

function open(index: number): Promise<Client> {
  return connect({ dial: accepting }, { clientId: `client-${index}`, keepAliveSeconds: 600 })
}

test(`one of ${COUNT} clients keeps at most ${HEAP_BYTES_MAX} bytes in the heap`, async context => {
  const clients = [await open(0), await open(1)]
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  while (clients.length < COUNT) clients.push(await open(clients.length))
  collectGarbage()
  const each = (process.memoryUsage().heapUsed - before) / (COUNT - 2)
  context.diagnostic(`${each.toFixed(0)} bytes each`)
  assert.ok(each > 500 && each <= HEAP_BYTES_MAX, `${each} bytes`)
  await Promise.all(clients.map(client => client.close()))
})
