// A broker within a program, in three lines: it listens, publishes, and says who is there.

import { createBroker } from '@godwit/broker'

const broker = createBroker()
const { url } = await broker.listen({ port: 0 }) // a free port; without options 127.0.0.1:1883
broker.publish('news', 'the broker is up', { qos: 1, retain: true })

console.log(`listening on ${url.replace(/\d+$/, '…')}`)
console.log(`${broker.clients().length} clients, ${broker.stats().sessions} sessions`)

await broker.close()

// Prints:
// listening on mqtt://127.0.0.1:…
// 0 clients, 0 sessions
