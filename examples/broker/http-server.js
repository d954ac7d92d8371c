// A broker beside a web application: WebSocket connections of one HTTP server become MQTT clients,
// everything else stays the application's.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { createBroker } from '@godwit/broker'
import { connect } from '@godwit/client'

const http = createServer((_request, response) => response.end('the application\n'))
http.listen(0, '127.0.0.1')
await once(http, 'listening')
const { port } = http.address()

const broker = createBroker({ statsIntervalSeconds: 0 })
await broker.listen({ server: http, ws: { path: '/mqtt' } })

const client = await connect(`ws://127.0.0.1:${port}/mqtt`)
console.log(await (await fetch(`http://127.0.0.1:${port}/`)).text())
console.log(
  broker
    .clients()
    .map(({ origin }) => origin.transport)
    .join(),
)

await client.close()
await broker.close() // leaves the HTTP server alone: whoever made it stops it
http.closeAllConnections()
http.close()

// Prints:
// the application
//
// ws
