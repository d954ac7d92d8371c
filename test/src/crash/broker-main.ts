// The process that is killed: a broker whose store is small, so that in a second of load it goes
// through all that a large one goes through in an hour. Says on standard output where it listens.

import { createBroker, type DiskStoreOptions } from '@godwit/broker'

const store = JSON.parse(process.argv[2] ?? '') as DiskStoreOptions
const complain = (fields: object, text: string): void => {
  const cause = 'err' in fields && fields.err instanceof Error ? `: ${fields.err.message}` : ''
  process.stderr.write(`${text}${cause}\n`)
}
const broker = createBroker({
  store,
  statsIntervalSeconds: 0,
  log: { info: () => undefined, warn: complain, error: complain },
})
broker.on('error', () => {
  process.exitCode = 1
})
const { port } = await broker.listen({ port: 0 })
process.stdout.write(`listening ${port}\n`)
process.on('SIGTERM', () => void broker.close({ drainSeconds: 1 }))
