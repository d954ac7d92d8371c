// A bridge between two brokers of two commands and a pipe: what comes in at one under `in/` goes
// out at the other under `out/`, with its QoS, its properties and every byte of its payload.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createBroker } from '@godwit/broker'

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url))
const [here, there] = [createBroker(), createBroker()]
const portHere = String((await here.listen({ port: 0 })).port)
const portThere = String((await there.listen({ port: 0 })).port)

// godwit sub -p HERE -t 'in/#' -q 1 -C 2 --json | … | godwit pub -p THERE --json
const sub = spawn(process.execPath, [
  ...[GODWIT, 'sub', '-p', portHere, '-t', 'in/#', '-q', '1', '-C', '2', '--json'],
])
const pub = spawn(process.execPath, [GODWIT, 'pub', '-p', portThere, '--json'])
createInterface({ input: sub.stdout })
  .on('line', line => {
    const message = JSON.parse(line)
    message.topic = message.topic.replace(/^in\//, 'out/')
    pub.stdin.write(`${JSON.stringify(message)}\n`)
  })
  .on('close', () => pub.stdin.end())

there.on('published', ({ topic, payload, qos }) => {
  console.log(topic, qos, Buffer.from(payload).toString('hex'))
})
await once(here, 'subscribe')
here.publish('in/text', 'hello', { qos: 1 })
here.publish('in/bytes', Uint8Array.from([0, 255]))
const [code] = await once(pub, 'close')
console.log('pub ended with', code)
await Promise.all([here.close(), there.close()])

// Prints:
// out/text 1 68656c6c6f
// out/bytes 0 00ff
// pub ended with 0
