// One client answers requests, another one asks. `respond` and `request` take care of the response
// topic and the correlation.
import { connect, MqttError } from '@godwit/client'

const url = process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883'
const server = await connect(url)
const client = await connect(url)

const adder = server.respond('math/add', request => {
  const { a, b } = request.json()
  return JSON.stringify({ sum: a + b })
})
await adder.ready

const answer = await client.request('math/add', JSON.stringify({ a: 40, b: 2 }))
console.log(answer.json().sum)

await adder.close()
try {
  await client.request('math/add', '{}', { timeoutMs: 1000 })
} catch (error) {
  // Most servers say at once that nobody listens; from others it is a timeout.
  if (!(error instanceof MqttError)) throw error
  console.log(error.code)
}

await client.close()
await server.close()

// prints: 42
// prints: no-responders
