// The broker of the benchmark `store`, in a process of its own: tells where it listens, and at each
// message how long its event loop stood still since the one before.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createBroker } from '@godwit/broker'

const [, , directory = ''] = process.argv
const limits = { queuedMessagesMax: 100_000_000, queuedBytesMax: Number.MAX_SAFE_INTEGER }
const broker = createBroker({ store: directory === '' ? 'none' : { directory }, limits })
const { port } = await broker.listen({ port: 0 })
const delays = monitorEventLoopDelay({ resolution: 1 })
delays.enable()
process.send?.({ port })
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ stallMs: delays.max / 1e6, cpuMs: (user + system) / 1000 })
  delays.reset()
})
process.on('disconnect', () => process.exit())
