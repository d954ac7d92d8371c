// What the Go original did with `NewClientConn(conn)`: the client runs over any stream that you
// bring. Here it is a socket, opened anew for each connection.
import { connect as openSocket } from 'node:net'
import { connect } from '@godwit/client'

const { hostname, port } = new URL(process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883')

const client = await connect(() => openSocket({ host: hostname, port: Number(port) }), {
  clientId: 'over-a-stream',
  // One line for each packet, as `ClientConn.Dump`.
  dump: line => {
    if (line.startsWith('out CONNECT')) console.log(line.slice(0, 27))
  },
})
console.log(client.clientId)
await client.close()

// prints: out CONNECT "over-a-stream"
// prints: over-a-stream
