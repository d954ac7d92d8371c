// A broker for a test: no port and no network. A client gets one end of a stream, and a new one
// whenever it comes back.

import { createBroker } from '@godwit/broker'
import { connect } from '@godwit/client'

const broker = createBroker({ statsIntervalSeconds: 0 })
const client = await connect(() => broker.connect())

const messages = client.subscribe('sensors/+', { qos: 1 })
await messages.ready
broker.publish('sensors/7', '21.5', { qos: 1 })

for await (const message of messages) {
  console.log(`${message.topic}: ${message.text()}`)
  break
}

await client.close()
await broker.close()

// Prints:
// sensors/7: 21.5
