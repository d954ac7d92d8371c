// Throws streams of packets at a client, from a seed, and says what the client did wrong: threw,
// let a promise hang, wrote what is no packet, kept more than it may, or was of no use afterwards.

import type { Client, ConnectOptions } from '@godwit/client'
import { openClient, type Platform } from '@godwit/client/protocol'
import { PacketType } from '@godwit/packet'
import { ClientPlatform } from './client-platform.ts'
import { type Bounds, boundsOf, FuzzedApplication } from './fuzzed-application.ts'
import { FuzzFailure, type FuzzOptions } from './fuzzer.ts'
import type { HostileBroker } from './hostile-broker.ts'
import { openLiteClient } from './lite-client.ts'
import { encoded } from './packets.ts'
import { Chance } from './random.ts'
import { certainFault, connackOf, nextServerBytes } from './server-packets.ts'

const STEPS_MAX = 80
/** Longer than any timeout and any delay of a client. */
const LONG_MS = 120_000
/** How often a broker that has become good is turned to. */
const ROUNDS_MAX = 200

/** Many publishers may wait with the lite client, and its window is the server's. */
const LiteBounds = { messagesMax: 1e9, bytesMax: 1e9, inflightMax: 1024 }

/** How far the cases came: a fuzzer whose packets are all refused at the door finds nothing. */
export interface Reached {
  /** Connections that the client took for established. */
  accepted: number
  /** Connections that ended because the broker broke the rules. */
  violations: number
  messages: number
  publishes: number
  /** Clients that served their application on a good connection after the hostile ones. */
  recovered: number
}

/** @throws FuzzFailure at the first case that goes wrong */
/** @param isLite whether it is the lite client */
export async function fuzzClient(options: FuzzOptions, isLite = false): Promise<Reached> {
  const { seed, cases, from = 0, progress } = options
  const reached: Reached = { accepted: 0, violations: 0, messages: 0, publishes: 0, recovered: 0 }
  let thrown: string | null = null
  const onThrow = (error: unknown): void => {
    thrown ??= `nobody caught ${error instanceof Error ? error.stack : String(error)}`
  }
  process.on('uncaughtException', onThrow)
  process.on('unhandledRejection', onThrow)
  try {
    for (let index = from; index < from + cases; index++) {
      const one = new ClientCase(new Chance(seed, index), reached, isLite)
      const trouble = (await one.run()) ?? thrown
      if (trouble !== null)
        throw new FuzzFailure(seed, index, trouble, index, isLite ? '--lite ' : '--client ')
      progress?.(index + 1)
    }
  } finally {
    process.off('uncaughtException', onThrow)
    process.off('unhandledRejection', onThrow)
  }
  return reached
}

class ClientCase {
  readonly #chance: Chance
  readonly #reached: Reached
  readonly #platform: ClientPlatform
  readonly #bounds: Bounds
  readonly #open: (platform: Platform, url: string, options: ConnectOptions) => Promise<Client>
  readonly #application: FuzzedApplication
  readonly #controller = new AbortController()
  readonly #isCalm: boolean
  #client: Client | null = null
  #hasEnded = false

  constructor(chance: Chance, reached: Reached, isLite: boolean) {
    this.#chance = chance
    this.#reached = reached
    this.#platform = new ClientPlatform(chance)
    this.#isCalm = chance.oneIn(2)
    const bounds = boundsOf(chance, this.#controller.signal)
    this.#bounds = isLite ? { ...bounds, ...LiteBounds } : bounds
    this.#open = isLite ? openLiteClient : openClient
    this.#application = new FuzzedApplication(chance, this.#bounds)
  }

  /** @returns what went wrong, or null */
  async run(): Promise<string | null> {
    const platform = this.#platform
    const opening = this.#open(platform, 'test://server', this.#bounds.options)
    void this.#application.track('connect', opening).then(client => {
      if (client === null) this.#hasEnded = true
      else this.#connected(client)
    })
    await platform.settle()
    let wrong: string | null = null
    for (let steps = this.#chance.below(STEPS_MAX); steps > 0 && wrong === null; steps--) {
      await this.#step()
      wrong = this.#judge()
    }
    if (wrong === null && this.#chance.oneIn(2)) wrong = await this.#recover()
    wrong ??= await this.#end()
    this.#reached.messages += this.#application.messages
    this.#reached.publishes += this.#application.publishes
    return wrong
  }

  #connected(client: Client): void {
    this.#client = client
    this.#reached.accepted++
    void this.#application.track('closed', client.closed).then(() => {
      this.#hasEnded = true
    })
    void this.#watch(client)
  }

  async #watch(client: Client): Promise<void> {
    for await (const event of client.events()) {
      if (event.type === 'connected') this.#reached.accepted++
      if (event.type === 'disconnected' && event.error.code === 'protocol-error') {
        this.#reached.violations++
      }
    }
  }

  get #isConnected(): boolean {
    return this.#client?.state === 'connected'
  }

  async #step(): Promise<void> {
    const chance = this.#chance
    const { broker } = this.#platform
    if (broker !== null && !broker.isOpen && !broker.isClosed && !chance.oneIn(6)) {
      broker.open()
      await this.#platform.settle()
      // Mostly a connection begins as it should, or nothing else would be reached.
      if (chance.oneIn(5)) return
      // It answers CONNECT, which is the first packet of the client.
      broker.unanswered.shift()
      this.#send(broker, encoded(connackOf(chance, broker.level), broker.level))
      await this.#platform.settle()
      return
    }
    // Without a connection it is mostly time that passes.
    switch (broker?.isClosed === false ? chance.below(20) : chance.below(5)) {
      case 0:
        await this.#platform.advance(chance.pick([1, 500, 1500, 40_000]))
        return
      case 1:
        broker?.drain()
        break
      case 2:
        broker?.clog()
        break
      case 3:
        if (chance.oneIn(3)) broker?.lose(chance.oneIn(2) ? new Error('reset') : null)
        break
      case 4:
        this.#platform.refusesDial = chance.oneIn(4)
        break
      default:
        if (this.#client !== null && chance.oneIn(2)) this.#application.act(this.#client)
        else if (broker !== null) {
          this.#send(broker, nextServerBytes(chance, broker.level, broker.unanswered, this.#isCalm))
        }
    }
    // Now and then several things happen in one turn.
    if (!chance.oneIn(4)) await this.#platform.settle()
  }

  /** In one chunk, or cut in two. */
  #send(broker: HostileBroker, bytes: Uint8Array): void {
    const cut = this.#chance.oneIn(3) ? this.#chance.below(bytes.length + 1) : 0
    broker.send(bytes.subarray(0, cut))
    broker.send(bytes.subarray(cut))
  }

  /** @returns what is wrong by now, or null */
  #judge(): string | null {
    const { thrown, brokers } = this.#platform
    if (thrown !== null) return `it threw ${thrown}`
    if (this.#application.trouble !== null) return this.#application.trouble
    for (const { badWrite } of brokers) if (badWrite !== null) return `it wrote: ${badWrite}`
    const unclosed = brokers.filter(({ isClosed }) => !isClosed).length
    // One that it uses, one that it has left and that does not close.
    if (unclosed > 2) return `${unclosed} connections at a time`
    return this.#client === null
      ? null
      : this.#application.beyondBounds(this.#client, brokers.length)
  }

  /** From now on the broker is a good one: the client must work, or have ended. */
  async #recover(): Promise<string | null> {
    const client = this.#client
    const platform = this.#platform
    if (client === null || this.#hasEnded) return null
    platform.refusesDial = false
    this.#application.leaveAll()
    platform.broker?.lose(null)
    await platform.advance(LONG_MS)
    await this.#serve(() => this.#isConnected || this.#hasEnded)
    const isIdle = (): boolean => {
      const { inflight, queued, waiting } = client.stats
      return inflight + queued + waiting === 0
    }
    await this.#serve(() => isIdle() || this.#hasEnded)
    if (this.#hasEnded) return null
    if (!this.#isConnected) return `it does not connect any more: ${client.state}`
    if (!isIdle()) return `old messages do not leave: ${JSON.stringify(client.stats)}`
    let fulfilled = 0
    let failure: string | null = null
    const subscription = client.subscribe('recovered')
    const promises = [
      subscription.ready,
      client.publish('recovered', 'one', { qos: 1 }),
      client.publish('recovered', 'two', { qos: 2 }),
    ]
    for (const promise of promises) {
      promise.then(
        () => fulfilled++,
        (error: unknown) => {
          failure ??= String(error)
        },
      )
    }
    await this.#serve(() => {
      return fulfilled === promises.length || failure !== null || this.#hasEnded
    })
    if (failure !== null) return `a good connection does not serve: ${failure}`
    if (fulfilled < promises.length) return 'a good connection does not serve'
    let text = ''
    void this.#application.track('next', subscription.next()).then(taken => {
      text = taken?.value?.text() ?? ''
    })
    platform.broker?.publish('recovered', 'three')
    await platform.settle()
    if (text !== 'three') return 'a message does not arrive any more'
    this.#reached.recovered++
    return this.#judge() ?? (await this.#offend())
  }

  /** Breaks the rules once, on a connection where all was well until then. */
  async #offend(): Promise<string | null> {
    const { broker } = this.#platform
    if (broker === null) return null
    broker.unanswered.length = 0
    const bytes = certainFault(this.#chance, broker.level)
    broker.send(bytes)
    await this.#platform.settle()
    const text = Buffer.from(bytes).toString('hex')
    if (!broker.isLeft) return `it goes on after ${text}`
    const last = broker.unanswered.at(-1)
    if (broker.level < 5) return null
    const isTold = last?.type === PacketType.DISCONNECT && last.reasonCode >= 0x80
    return isTold ? null : `it does not say what is wrong with ${text}`
  }

  /** Answers the client until something holds. */
  async #serve(isDone: () => boolean): Promise<void> {
    const platform = this.#platform
    for (let rounds = 0; rounds < ROUNDS_MAX && !isDone(); rounds++) {
      this.#client?.reconnect()
      await platform.settle()
      platform.broker?.open()
      await platform.settle()
      platform.broker?.serve()
      platform.broker?.drain()
      await platform.settle()
      if (rounds % 10 === 9) await platform.advance(100)
    }
  }

  /** Ends the client in some way; then nothing of it may be left. */
  async #end(): Promise<string | null> {
    const client = this.#client
    const platform = this.#platform
    const how = this.#chance.below(4)
    if (client === null || how === 0) this.#controller.abort()
    else if (how === 1) void this.#application.track('drain', client.drain({ timeoutMs: 1000 }))
    else if (how === 2) void this.#application.track('dispose', client[Symbol.asyncDispose]())
    else void this.#application.track('close', client.close())
    await platform.advance(LONG_MS)
    const wrong = this.#judge()
    if (wrong !== null) return wrong
    const [hanging] = this.#application.open.values()
    if (hanging !== undefined) return `a promise hangs: ${hanging}`
    if (platform.timerCount > 0) return `${platform.timerCount} timers are left`
    const left = platform.brokers.filter(({ isClosed }) => !isClosed).length
    return left > 0 ? `${left} connections are left` : null
  }
}
