// Handles several messages at a time, but those of one topic one after the other. A message is
// acknowledged when its handler is done, and in the order in which the messages came.
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@godwit/client'

const client = await connect(process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883')

const jobs = client.subscribe('jobs/+machine')
await jobs.ready

/** @type {Map<string, string[]>} */
const done = new Map()
let count = 0
const reading = jobs.forEach(
  async message => {
    // Later jobs are quicker, and still do not overtake the earlier ones of their machine.
    await sleep(40 - 10 * Number(message.text()))
    const { machine } = message.params
    done.set(machine, [...(done.get(machine) ?? []), message.text()])
    if (++count === 6) void jobs.unsubscribe()
  },
  { concurrency: 4, order: 'topic' },
)

for (const job of ['1', '2', '3']) {
  await client.publish('jobs/saw', job, { qos: 1 })
  await client.publish('jobs/drill', job, { qos: 1 })
}
await reading
for (const [machine, order] of [...done].sort()) console.log(`${machine}: ${order.join(' ')}`)
await client.close()

// prints: drill: 1 2 3
// prints: saw: 1 2 3
