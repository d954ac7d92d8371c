// Sections 3.1.2.5, 3.1.3.2 and 3.14.4: when a will goes out, and as what.

import { type Case, cases } from '../case.ts'
import { check } from '../outcome.ts'
import { disconnect, willOf } from '../packets.ts'

const DELAY_SECONDS = 1
const PASSED_MS = 2500

export const WILLS: readonly Case[] = [
  ...cases(
    { v5: '3.1.2-7 3.1.2-8', v3: '3.1.2-8' },
    'a client with a will, whose network connection breaks',
    'the will goes out',
    async probe => {
      const topic = probe.topic('will')
      const watcher = await probe.watch(topic, 1)
      const client = await probe.connect({ will: willOf(topic, 'gone', { qos: 1 }) })
      client.wire.cut()
      const will = await watcher.message('gone')
      check(will.qos === 1, `the will has QoS ${will.qos}`)
    },
  ),
  ...cases(
    { v5: '3.14.4-3', v3: '3.14.4-3' },
    'a client with a will, that says DISCONNECT 0x00',
    'the will does not go out',
    async probe => {
      const topic = probe.topic('will')
      const watcher = await probe.watch(topic)
      const client = await probe.connect({ will: willOf(topic, 'gone') })
      await client.leave()
      await watcher.silent(await probe.connect())
    },
  ),
  ...cases(
    { v5: '3.1.2-10', v3: '3.1.2-10' },
    'a session with a will that goes out; it is resumed without a will, and the network breaks',
    'the will goes out once',
    async probe => {
      const topic = probe.topic('will')
      const watcher = await probe.watch(topic)
      const first = await probe.connectKept(probe.id(), { will: willOf(topic, 'gone') })
      first.wire.cut()
      await watcher.message('gone')
      const again = await probe.connectKept(first.id)
      again.wire.cut()
      const third = await probe.connectKept(first.id)
      await watcher.silent(third)
    },
  ),
  ...cases(
    { v3: '3.1.2-12' },
    'a client without a will, whose network connection breaks',
    'no will goes out',
    async probe => {
      const watcher = await probe.watch(probe.topic('#'))
      const client = await probe.connectKept(probe.id())
      client.wire.cut()
      await watcher.silent(await probe.connectKept(client.id))
    },
  ),
  ...cases(
    { v5: '3.1.2-14', v3: '3.1.2-16' },
    'a will with Will Retain 0 that goes out',
    'it is no retained message',
    async probe => {
      const topic = probe.topic('will')
      const watcher = await probe.watch(topic)
      const client = await probe.connect({ will: willOf(topic, 'gone') })
      client.wire.cut()
      check(!(await watcher.message('gone')).retain, 'it has RETAIN')
      await (await probe.watch(topic)).silent(await probe.connect())
    },
  ),
  ...cases(
    { v5: '3.1.2-15', v3: '3.1.2-17' },
    'a will with Will Retain 1 that goes out',
    'it is the retained message of its topic',
    async probe => {
      const topic = probe.topic('will')
      const watcher = await probe.watch(topic)
      const client = await probe.connect({ will: willOf(topic, 'gone', { retain: true }) })
      client.wire.cut()
      await watcher.message('gone')
      const later = await probe.watch(topic)
      check((await later.message('gone')).retain, 'it has no RETAIN')
      await later.publish(topic, '', { retain: true })
    },
  ),
  ...cases(
    { v5: '3.1.3-9' },
    'a session with a Will Delay of 1 s, whose connection breaks; the client is back at once',
    'the will does not go out, neither at once nor later',
    async probe => {
      // Who comes back too late, on a busy machine, has nothing to say about it: then once more.
      for (let isInTime = false; !isInTime; ) {
        const topic = probe.topic('delay', probe.id())
        const watcher = await probe.watch(topic)
        const properties = { willDelayInterval: DELAY_SECONDS }
        const first = await probe.connectKept(probe.id(), {
          will: willOf(topic, 'gone', { properties }),
        })
        const beganMs = performance.now()
        first.wire.cut()
        const again = await probe.connectKept(first.id)
        isInTime = performance.now() - beganMs < DELAY_SECONDS * 1000
        if (!isInTime) continue
        await probe.elapse(PASSED_MS)
        await watcher.silent(again)
      }
    },
  ),
  ...cases(
    { v5: '3.1.2-8' },
    'a session with a Will Delay of 1 s, whose connection breaks',
    'the will goes out, and not before the delay has passed',
    async probe => {
      const topic = probe.topic('delay')
      const watcher = await probe.watch(topic)
      const properties = { willDelayInterval: DELAY_SECONDS }
      const client = await probe.connectKept(probe.id(), {
        will: willOf(topic, 'gone', { properties }),
      })
      const beganMs = performance.now()
      client.wire.cut()
      await watcher.message('gone')
      const passedMs = performance.now() - beganMs
      // Clocks of whole seconds may be early by nearly one.
      check(passedMs > 100, `it came after ${Math.round(passedMs)} ms`)
    },
  ),
  ...cases(
    { v5: '3.1.2-8' },
    'a will with a delay of 600 s and a session that expires after 1 s, whose connection breaks',
    'the will goes out when the session ends',
    async probe => {
      const topic = probe.topic('ends')
      const watcher = await probe.watch(topic)
      const client = await probe.connect({
        properties: { sessionExpiryInterval: 1 },
        will: willOf(topic, 'gone', { properties: { willDelayInterval: 600 } }),
      })
      client.wire.cut()
      await watcher.message('gone')
    },
  ),
  ...cases(
    { v5: '3.1.2-8' },
    'a client with a will, that says DISCONNECT 0x04 (with will)',
    'the will goes out',
    async probe => {
      const topic = probe.topic('will')
      const watcher = await probe.watch(topic)
      const client = await probe.connect({ will: willOf(topic, 'gone') })
      client.send(disconnect(4))
      await client.wire.end()
      await watcher.message('gone')
    },
  ),
  ...cases(
    { v5: '3.1.3-10' },
    'a will with user properties, one name twice',
    'they come in their order',
    async probe => {
      const topic = probe.topic('will')
      const watcher = await probe.watch(topic)
      const userProperties = [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ] as const
      const client = await probe.connect({
        will: willOf(topic, 'gone', { properties: { userProperties } }),
      })
      client.wire.cut()
      const came = (await watcher.message('gone')).properties.userProperties ?? []
      check(came.join(' ') === 'b,1 a,2 b,3', `they come as ${came.join(' ')}`)
    },
  ),
]
