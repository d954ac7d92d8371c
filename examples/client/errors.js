// Every failure is an MqttError with a `code`; a refusal also has the server's reason and return
// codes. Nothing is thrown where nobody waits: such failures are events.
import { ConnectionRefusedError, connect, MqttError } from '@godwit/client'

const url = process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883'

try {
  // A client identifier that is too long for this server.
  await connect(url, { clientId: 'x'.repeat(70_000) })
} catch (error) {
  if (!(error instanceof MqttError)) throw error
  console.log(error instanceof ConnectionRefusedError ? error.reasonCode : error.code)
}

const client = await connect(url)
const events = client.events()
void client.publish('not/#/a/topic', 'x')
for await (const event of events) {
  if (event.type !== 'error') continue
  console.log(`${event.error.code}: ${event.error.message}`)
  break
}

const aborted = AbortSignal.timeout(20)
try {
  for await (const message of client.subscribe('nothing/comes', { signal: aborted })) {
    console.log(message.topic)
  }
} catch (error) {
  if (!(error instanceof MqttError)) throw error
  console.log(error.code)
}
await client.close()

// prints: invalid-argument
// prints: invalid-argument: not a topic name: "not/#/a/topic"
// prints: aborted
