// The least that a server in Node can do for a session: Node's own accept, one listener for what
// comes, and answers that are constants. It is no broker: it is what a broker is measured by.

import { type AddressInfo, createServer, type Socket } from 'node:net'

const CONNECT = 1
const SUBSCRIBE = 8
/** Of the protocol's level in a CONNECT of "MQTT". */
const LEVEL_AT = 8
const CONNACK = Buffer.from([0x20, 2, 0, 0])
const CONNACK_5 = Buffer.from([0x20, 3, 0, 0, 0])

const sockets = new Set<Socket>()
let isLevel5 = false

const server = createServer({ noDelay: true }, socket => {
  sockets.add(socket)
  socket.on('data', packet => answer(socket, packet))
  socket.on('error', () => undefined)
  socket.on('close', () => sockets.delete(socket))
})

function answer(socket: Socket, packet: Buffer): void {
  const type = (packet[0] ?? 0) >> 4
  if (type === CONNECT) {
    isLevel5 = packet[LEVEL_AT] === 5
    socket.write(isLevel5 ? CONNACK_5 : CONNACK)
  } else if (type === SUBSCRIBE) {
    const [high = 0, low = 0] = packet.subarray(2, 4)
    const qos = packet[packet.length - 1] ?? 0
    const body = isLevel5 ? [4, high, low, 0, qos] : [3, high, low, qos]
    socket.write(Buffer.from([0x90, ...body]))
  }
}

const [, , port = '0'] = process.argv
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 }, () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
