// The small client of web pages. There a `wss:` URL is all that it needs; here it runs over a
// transport that is brought along, so that it works in a Node that has no WebSocket.
import { createConnection } from 'node:net'
import { connect } from '@godwit/client/lite'

const { hostname, port } = new URL(process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883')

/** All that the client asks of a transport. */
function dial(handler) {
  const socket = createConnection({ host: hostname, port: Number(port) })
  let error = null
  socket.on('connect', () => handler.opened())
  socket.on('data', bytes => handler.received(new Uint8Array(bytes)))
  socket.on('drain', () => handler.drained())
  socket.on('error', cause => {
    error = cause
  })
  socket.on('close', () => handler.closed(error))
  return {
    canPause: true,
    get bufferedBytes() {
      return socket.writableLength
    },
    // Node keeps the bytes until they are sent.
    write(bytes) {
      socket.write(bytes)
      return false
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
  }
}

const client = await connect({ dial }, { clientId: 'page' })

const temperatures = client.subscribe('site/+/temperature')
await temperatures.ready

await client.publish('site/north/temperature', '21.5', { qos: 1 })

for await (const message of temperatures) {
  console.log(message.topic, message.text())
  // Leaving the loop unsubscribes.
  break
}

await client.close()

// prints: site/north/temperature 21.5
