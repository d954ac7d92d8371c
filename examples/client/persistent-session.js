// A session that outlives the process: the server keeps messages while the client is away, and a
// file keeps what is in flight, so that QoS 2 is exactly once across restarts.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, fileStore } from '@godwit/client'

const url = process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883'
const folder = await mkdtemp(join(tmpdir(), 'example-'))
const options = () => ({
  clientId: 'meter-17',
  sessionExpirySeconds: 3600,
  store: fileStore(join(folder, 'session')),
})

const before = await connect(url, options())
await before.subscribe('orders', { qos: 2 }).ready
await before.close()

const other = await connect(url)
await other.publish('orders', 'while you were away', { qos: 2 })
await other.close()

// As if the process had been started anew.
const after = await connect(url, options())
console.log(`the server has kept the session: ${after.negotiated.sessionPresent}`)
for await (const message of after.subscribe('orders', { qos: 2 })) {
  console.log(message.text())
  break
}
await after.close({ sessionExpirySeconds: 0 })
await rm(folder, { recursive: true })

// prints: the server has kept the session: true
// prints: while you were away
