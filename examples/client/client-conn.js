// The whole of the Go original's `ClientConn`, line by line: what it was stands above what it is.
import { createConnection } from 'node:net'
import { createBroker } from '@godwit/broker'
import { ConnectionRefusedError, connect } from '@godwit/client'

const { hostname, port } = new URL(process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883')

// conn, _ := net.Dial("tcp", "127.0.0.1:1883")
const conn = createConnection({ host: hostname, port: Number(port) })

// cc := mqtt.NewClientConn(conn)
// cc.ClientId = "tick"
// cc.Dump = true
// err := cc.Connect("user", "pass")
const cc = await connect(conn, {
  clientId: 'tick',
  dump: line => line.startsWith('in  CONNACK') && console.log(line.slice(0, 19)),
  username: 'user',
  password: 'pass',
})
console.log(cc.clientId)

// acks := cc.Subscribe([]proto.TopicQos{{Topic: "clock/#", Qos: proto.QosAtMostOnce}})
const incoming = cc.subscribe('clock/#', { qos: 0 })
const { reasonCodes } = await incoming.ready
console.log(reasonCodes)

// cc.Publish(&proto.Publish{Header: proto.Header{Retain: false}, TopicName: "clock/bonnie", ...})
await cc.publish('clock/bonnie', 'tick', { qos: 0, retain: false })

// for m := range cc.Incoming { ... }
for await (const message of incoming) {
  console.log(message.topic, message.text(), message.retain)
  break
}

// cc.Disconnect()
await cc.close()
console.log(cc.state)

// if err := cc.Connect("user", "wrong"); err != nil { ... }, with its text from ConnectionErrors
const strict = createBroker({ hooks: { authenticate: () => false } })
try {
  await connect(strict.connect(), { protocolVersion: 4, username: 'user', password: 'wrong' })
} catch (error) {
  if (!(error instanceof ConnectionRefusedError)) throw error
  console.log(error.returnCode, error.message)
}
await strict.close()

// prints: in  CONNACK SUCCESS
// prints: tick
// prints: [ 0 ]
// prints: clock/bonnie tick false
// prints: closed
// prints: 5 connection refused: not authorized
