// Subscribes with named wildcards, publishes, and reads until it has seen enough.
import { connect } from '@godwit/client'

const client = await connect(process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883')

const temperatures = client.subscribe('site/+site/temperature')
await temperatures.ready

await client.publish('site/north/temperature', '21.5', { qos: 1 })
await client.publish('site/south/temperature', '24', { qos: 1 })

let count = 0
for await (const message of temperatures) {
  console.log(`${message.params.site}: ${message.text()}`)
  // Leaving the loop unsubscribes.
  if (++count === 2) break
}

await client.close()

// prints: north: 21.5
// prints: south: 24
