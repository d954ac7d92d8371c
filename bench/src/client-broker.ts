// The process behind the benchmark of clients: a broker, and a source of messages that sends no
// more than its receiver has said that it got, so that a slow receiver loses none.

import { createBroker } from '@godwit/broker'
import { connect } from '@godwit/client'
import { BATCH_MESSAGES, CONTROL_TOPIC, PAYLOAD_BYTES, TOPIC } from './client-names.ts'

/** Batches that are on their way. */
const BATCHES = 4

const broker = createBroker({
  statsIntervalSeconds: 0,
  limits: { connectionsPerSecondMax: 0, flappingConnectsMax: 0 },
})
const { port } = await broker.listen({ host: '127.0.0.1', port: 0 })
const source = await connect(() => broker.connect())
const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x78)

async function sendBatches(count: number): Promise<void> {
  for (let sent = 0; sent < count * BATCH_MESSAGES; ) {
    if (source.tryPublish(TOPIC, payload)) sent++
    else await source.writable
  }
}

const control = source.subscribe(CONTROL_TOPIC)
await control.ready
process.send?.({ port })
for await (const message of control) {
  // `go` begins, anything else says that one batch has come.
  await sendBatches(message.text() === 'go' ? BATCHES : 1)
}
