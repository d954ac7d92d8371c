// A crowd of clients in a process of its own: each comes, subscribes, gets its own message back and
// goes. Run by fork; it is told the port and how many, and says when it is done.

import { PacketType } from '@godwit/packet'
import { publishPacket, RawClient } from '../support/raw-client.ts'

export interface CrowdOrder {
  readonly port: number
  readonly clients: number
}

const AT_ONCE = 250

const all: RawClient[] = []

process.on('message', (order: CrowdOrder | 'leave') => {
  void (order === 'leave' ? leaveAll() : openAll(order))
})

async function openAll(order: CrowdOrder): Promise<void> {
  for (let from = 0; from < order.clients; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, order.clients - from)
    const some = Array.from({ length: count }, (_, i) => open(order, from + i))
    all.push(...(await Promise.all(some)))
  }
  process.send?.({ open: all.length })
}

async function leaveAll(): Promise<void> {
  for (const [i, client] of all.entries()) leave(client, i)
  await Promise.all(all.map(client => client.closed))
  all.length = 0
  process.send?.({ open: 0 })
}

async function open({ port }: CrowdOrder, index: number): Promise<RawClient> {
  const level = index % 2 === 0 ? 5 : 4
  const client = RawClient.tcp(port, level)
  await client.connect({ clientId: `crowd ${index}` })
  await client.subscribe(`crowd/${index}`)
  client.send(publishPacket(`crowd/${index}`, 'mine', { qos: 1, packetId: 1 }))
  const types = new Set<number>()
  for (let i = 0; i < 2; i++) {
    const packet = await client.next()
    types.add(packet?.type ?? 0)
    if (packet?.type === PacketType.PUBLISH) {
      client.send([0x40, 2, packet.packetId >> 8, packet.packetId & 255])
    }
  }
  if (!types.has(PacketType.PUBLISH) || !types.has(PacketType.PUBACK)) {
    throw new Error(`client ${index} got packets of the types ${[...types].join(', ')}`)
  }
  return client
}

/** One in three says goodbye, one closes, one breaks off. */
function leave(client: RawClient, index: number): void {
  if (index % 3 === 0) client.send([0xe0, 0])
  else if (index % 3 === 1) client.stream.end()
  else client.destroy()
}
