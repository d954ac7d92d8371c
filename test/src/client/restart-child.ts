// The process that restart.test.ts kills: a client with a file store. It prints what it takes, and
// publishes what it is told to, one message per line of its input.
import { createInterface } from 'node:readline'
import { connect, fileStore } from '@godwit/client'

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

const [, , url = '', path = ''] = process.argv

const client = await connect(url, {
  clientId: 'restarts',
  sessionExpirySeconds: 1000,
  store: fileStore(path),
})
const subscription = client.subscribe('in', { qos: 2 })

createInterface({ input: process.stdin }).on('line', line => {
  client.publish('out', line, { qos: 2 }).then(
    () => print(`published ${line}`),
    (error: Error) => print(`failed ${line} ${error.message}`),
  )
})

for await (const message of subscription) print(`took ${message.text()}`)
