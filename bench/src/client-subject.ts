// One client, one scenario, one process: what a message costs it in processor time, or what ten
// thousand clients cost in memory.

import { connect as connectSocket, type Socket } from 'node:net'
import { type Client, connect, type Dial, type Message } from '@godwit/client'
import mqtt from 'mqtt'
import {
  BATCH_MESSAGES,
  CONTROL_TOPIC,
  MANY_CLIENTS,
  type Outcome,
  PAYLOAD_BYTES,
  type Task,
  TOPIC,
  WINDOW,
} from './client-names.ts'

/** Processor time: who waits for messages has as much of it to get warm as who is always busy. */
const WARM_UP_SECONDS = 0.8
const MEASURED_SECONDS = 1.5
/** Messages between two looks at the processor time. */
const STRIDE = 200
const OPENING_MAX = 200
const KEEP_ALIVE_SECONDS = 600

const payload = Buffer.alloc(PAYLOAD_BYTES, 'x')
const task = JSON.parse(process.argv[2] ?? '{}') as Task
const url = `mqtt://127.0.0.1:${task.port}`

/** Counts messages; knows when the time to warm up and the time to measure are over. */
class Meter {
  isOver = false
  private readonly finish: (outcome: Outcome) => void
  private count = 0
  private isWarm = false
  private beganSeconds = cpuSecondsNow()

  constructor(finish: (outcome: Outcome) => void) {
    this.finish = finish
  }

  add(messages: number): void {
    if (this.isOver) return
    this.count += messages
    const cpuSeconds = cpuSecondsNow() - this.beganSeconds
    if (cpuSeconds < (this.isWarm ? MEASURED_SECONDS : WARM_UP_SECONDS)) return
    if (this.isWarm) {
      this.isOver = true
      this.finish({ count: this.count, cpuSeconds, heapBytes: 0, rssBytes: 0 })
      return
    }
    this.isWarm = true
    this.count = 0
    this.beganSeconds = cpuSecondsNow()
  }
}

function cpuSecondsNow(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

type Publish = () => Promise<unknown>

/** Publishes one after the other. */
async function publishOneByOne(publish: Publish): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const meter = new Meter(resolve)
    const run = async (): Promise<void> => {
      while (!meter.isOver) {
        for (let i = 0; i < STRIDE; i++) await publish()
        meter.add(STRIDE)
      }
    }
    run().catch(reject)
  })
}

/** Publishes `STRIDE` messages at a time. */
async function publishInBursts(burst: Publish): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const meter = new Meter(resolve)
    const run = async (): Promise<void> => {
      while (!meter.isOver) {
        await burst()
        meter.add(STRIDE)
      }
    }
    run().catch(reject)
  })
}

/** Publishes many at the same time. */
async function publishInWindow(publish: Publish): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const meter = new Meter(resolve)
    const run = async (): Promise<void> => {
      while (!meter.isOver) {
        for (let i = 0; i < STRIDE / 10; i++) await publish()
        meter.add(STRIDE / 10)
      }
    }
    for (let i = 0; i < WINDOW; i++) run().catch(reject)
  })
}

/** Counts texts that come, and says when a batch is complete. */
function receiver(tell: () => void, finish: (outcome: Outcome) => void): (text: string) => void {
  const meter = new Meter(finish)
  let count = 0
  return text => {
    if (text.length !== PAYLOAD_BYTES) throw new Error(`expected ${PAYLOAD_BYTES} bytes: ${text}`)
    if (++count < BATCH_MESSAGES) return
    count = 0
    meter.add(BATCH_MESSAGES)
    if (!meter.isOver) tell()
  }
}

const Godwit: Readonly<Record<string, (client: Client) => Promise<Outcome>>> = {
  'publish QoS 0, awaited': client => publishOneByOne(() => client.publish(TOPIC, payload)),
  'publish QoS 0, without a promise': client =>
    publishInBursts(async () => {
      for (let i = 0; i < STRIDE; ) {
        if (client.tryPublish(TOPIC, payload)) i++
        else await client.writable
      }
    }),
  'publish QoS 1': client => publishInWindow(() => client.publish(TOPIC, payload, { qos: 1 })),
  'publish QoS 2': client => publishInWindow(() => client.publish(TOPIC, payload, { qos: 2 })),
  'receive QoS 0, iterator': client =>
    new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        const subscription = client.subscribe(TOPIC, { qos: 0, buffer: { messagesMax: 10_000 } })
        await subscription.ready
        const took = receiver(() => client.tryPublish(CONTROL_TOPIC, 'batch'), resolve)
        client.tryPublish(CONTROL_TOPIC, 'go')
        for await (const message of subscription) took(message.text())
      }
      run().catch(reject)
    }),
  'receive QoS 0, listener': client =>
    new Promise((resolve, reject) => {
      const took = receiver(() => client.tryPublish(CONTROL_TOPIC, 'batch'), resolve)
      const listener = (message: Message): void => took(message.text())
      const subscription = client.subscribe<string>(TOPIC, { qos: 0, listener })
      subscription.ready.then(() => client.tryPublish(CONTROL_TOPIC, 'go'), reject)
    }),
}

/** The same with npm's client, which has one way to receive and one to be told. */
const Mqtt: Readonly<Record<string, (client: mqtt.MqttClient) => Promise<Outcome>>> = {
  'publish QoS 0, awaited': client => publishOneByOne(() => client.publishAsync(TOPIC, payload)),
  'publish QoS 0, without a promise': client =>
    publishInBursts(() => {
      for (let i = 1; i < STRIDE; i++) client.publish(TOPIC, payload)
      return client.publishAsync(TOPIC, payload)
    }),
  'publish QoS 1': client => publishInWindow(() => client.publishAsync(TOPIC, payload, { qos: 1 })),
  'publish QoS 2': client => publishInWindow(() => client.publishAsync(TOPIC, payload, { qos: 2 })),
  'receive QoS 0, iterator': receiveWithMqtt,
  'receive QoS 0, listener': receiveWithMqtt,
}

async function receiveWithMqtt(client: mqtt.MqttClient): Promise<Outcome> {
  await client.subscribeAsync(TOPIC)
  return new Promise(resolve => {
    const took = receiver(() => client.publish(CONTROL_TOPIC, 'batch'), resolve)
    client.on('message', (_topic, bytes) => took(bytes.toString()))
    client.publish(CONTROL_TOPIC, 'go')
  })
}

function connectMqtt(): Promise<mqtt.MqttClient> {
  return mqtt.connectAsync(url, { protocolVersion: 5, keepalive: KEEP_ALIVE_SECONDS })
}

/** A connection in memory that is accepted: what is measured is the client alone. */
const acceptingDial: Dial = handler => {
  let isAccepted = false
  setImmediate(() => handler.opened())
  return {
    bufferedBytes: 0,
    canPause: true,
    write: () => {
      if (!isAccepted) setImmediate(() => handler.received(Uint8Array.of(0x20, 3, 0, 0, 0)))
      isAccepted = true
      return true
    },
    pause: () => undefined,
    resume: () => undefined,
    end: () => setImmediate(() => handler.closed(null)),
    destroy: () => setImmediate(() => handler.closed(null)),
  }
}

const readBuffer = new Uint8Array(65_536)

/** A socket of Node and nothing more, which reads as the client's do. */
function openSocket(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connectSocket({
      host: '127.0.0.1',
      port: task.port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: () => true },
    })
    socket.once('connect', () => resolve(socket))
    socket.on('error', reject)
  })
}

/** Opens many clients, a few at a time. */
async function openMany(open: () => Promise<unknown>): Promise<Outcome> {
  // What the first ones bring in is not the cost of each.
  const clients: unknown[] = [await open(), await open()]
  const before = memoryNow()
  const cpu = process.cpuUsage()
  while (clients.length < MANY_CLIENTS + 2) {
    const count = Math.min(OPENING_MAX, MANY_CLIENTS + 2 - clients.length)
    clients.push(...(await Promise.all(Array.from({ length: count }, open))))
  }
  const { user, system } = process.cpuUsage(cpu)
  await new Promise(resolve => setImmediate(resolve))
  const after = memoryNow()
  const count = clients.length - 2
  const heapBytes = (after.heapBytes - before.heapBytes) / count
  const rssBytes = (after.rssBytes - before.rssBytes) / count
  return { count, cpuSeconds: (user + system) / 1e6, heapBytes, rssBytes }
}

function memoryNow(): { heapBytes: number; rssBytes: number } {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('expected node --expose-gc')
  gc()
  gc()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heapBytes: heapUsed + external, rssBytes: rss }
}

async function perform(): Promise<Outcome> {
  const options = { keepAliveSeconds: KEEP_ALIVE_SECONDS }
  const isGodwit = task.library === 'godwit'
  if (task.scenario === 'many')
    return openMany(isGodwit ? () => connect(url, options) : connectMqtt)
  if (task.scenario === 'many sockets') return openMany(openSocket)
  if (task.scenario === 'many in memory') {
    return openMany(() => connect({ dial: acceptingDial }, options))
  }
  const godwit = Godwit[task.scenario]
  const other = Mqtt[task.scenario]
  if (godwit === undefined || other === undefined) throw new Error(`no scenario ${task.scenario}`)
  return isGodwit ? godwit(await connect(url, options)) : other(await connectMqtt())
}

const outcome = await perform()
process.send?.(outcome, () => process.exit())
