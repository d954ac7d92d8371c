// SCRAM-SHA-256, MQTT 5.0's enhanced authentication: the password never crosses the network, and
// the broker keeps only keys that were made of it.

import { createBroker, scramKeys } from '@godwit/broker'

const users = new Map([['ann', scramKeys('pencil')]])
const broker = createBroker({
  statsIntervalSeconds: 0,
  scram: { users: name => users.get(name) ?? null }, // may be async: a look into a database
})
await broker.listen({ port: 0 })

const { salt, iterations } = users.get('ann')
console.log(
  `kept of the password: a salt of ${salt.length} bytes, keys of ${iterations} iterations`,
)

await broker.close()

// Prints:
// kept of the password: a salt of 16 bytes, keys of 15000 iterations
