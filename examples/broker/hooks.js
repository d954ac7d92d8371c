// Hooks: who may come in, who may publish what, and a message that is changed on its way. A hook
// may return a promise; one that throws or takes too long refuses only what it was asked about.

import { createBroker } from '@godwit/broker'
import { connect } from '@godwit/client'

const broker = createBroker({
  statsIntervalSeconds: 0,
  hooks: {
    authenticate: async ({ username, password }) => {
      return username === 'ann' && Buffer.from(password ?? []).toString() === 'secret'
    },
    authorizePublish: ({ username }, topic) => topic.startsWith(`${username}/`),
    authorizeSubscribe: (_client, filter) => (filter === '#' ? 0x87 : true),
    publish: ({ topic, payload }) => {
      if (!topic.endsWith('/celsius')) return undefined // as it is
      const fahrenheit = Number(Buffer.from(payload).toString()) * 1.8 + 32
      return {
        topic: topic.replace('celsius', 'fahrenheit'),
        payload: Buffer.from(`${fahrenheit}`),
      }
    },
  },
})

const stranger = connect(() => broker.connect(), { username: 'eve', reconnect: false })
await stranger.catch(error => console.log(`eve: ${error.name} ${error.reasonCode}`))

const client = await connect(() => broker.connect(), { username: 'ann', password: 'secret' })
const messages = client.subscribe('ann/#')
await messages.ready
await client.publish('ann/kitchen/celsius', '20', { qos: 1 })
for await (const message of messages) {
  console.log(`${message.topic}: ${message.text()}`)
  break
}
await client
  .publish('bob/kitchen/celsius', '20', { qos: 1 })
  .catch(error => console.log(`bob's topic: ${error.reasonCode}`))

await client.close()
await broker.close()

// Prints:
// eve: ConnectionRefusedError 135
// ann/kitchen/fahrenheit: 68
// bob's topic: 135
