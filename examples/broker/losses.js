// The loss ledger: no message is dropped in silence. A client that is away has room for two
// messages here; what does not fit is counted, by reason, client and topic.

import { createBroker } from '@godwit/broker'
import { connect } from '@godwit/client'

const broker = createBroker({ statsIntervalSeconds: 0, limits: { queuedMessagesMax: 2 } })
broker.on('dropped', ({ reason, clientId }) => console.log(`first loss: ${reason} of ${clientId}`))

const session = { clientId: 'away', cleanStart: false, sessionExpirySeconds: 3600 }
const client = await connect(() => broker.connect(), session)
await client.subscribe('alarms', { qos: 1 }).ready
await client.close()

for (let i = 1; i <= 5; i++) broker.publish('alarms', `alarm ${i}`, { qos: 1 })
await new Promise(resolve => setImmediate(resolve))

for (const { reason, clientId, topic, count } of broker.losses()) {
  console.log(`${count} lost: ${reason}, ${clientId}, ${topic}`)
}
await broker.close()

// Prints:
// first loss: queue-full of away
// 3 lost: queue-full, away, alarms
