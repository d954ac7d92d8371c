// Publishes as fast as the network takes it and no faster. `tryPublish` makes no promise and says
// when it would have to wait; `writable` resolves when it would take a message again.
import { connect } from '@godwit/client'

const client = await connect(process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883')

const count = 200_000
let sent = 0
while (sent < count) {
  if (client.tryPublish('load', 'x')) sent++
  else await client.writable
}
console.log(`${sent} messages sent, ${client.stats.queued} wait in memory`)
await client.close()

// prints: 200000 messages sent, 0 wait in memory
