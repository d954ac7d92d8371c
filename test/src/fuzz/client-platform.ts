// The platform of a client that is fuzzed: a clock that is turned by hand, chance from a seed, and
// a network whose other ends are hostile. Whatever a call into the client throws is kept.

import type { Dial } from '@godwit/client'
import { AllParts, type Parts, type Platform } from '@godwit/client/protocol'
import { describePacket } from '@godwit/packet'
import { HostileBroker } from './hostile-broker.ts'
import type { Chance } from './random.ts'

interface Timer {
  readonly dueMs: number
  readonly task: () => void
}

export class ClientPlatform implements Platform {
  readonly canPause: boolean
  readonly channels = null
  readonly describe: typeof describePacket = describePacket
  /** Every connection that was dialled, oldest first. */
  readonly brokers: HostileBroker[] = []
  /** The first thing that was thrown out of the client. */
  thrown: string | null = null
  /** Dialling fails at once. */
  refusesDial = false
  readonly #chance: Chance
  readonly #timers = new Set<Timer>()
  #nowMs = 1000
  #turn: (() => void)[] = []

  constructor(chance: Chance) {
    this.#chance = chance
    this.canPause = !chance.oneIn(3)
  }

  get timerCount(): number {
    return this.#timers.size
  }

  /** The connection dialled last. */
  get broker(): HostileBroker | null {
    return this.brokers.at(-1) ?? null
  }

  nowMs(): number {
    return this.#nowMs
  }

  random(): number {
    return this.#chance.below(1000) / 1000
  }

  randomBytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#chance.below(256))
  }

  atTurnEnd(task: () => void): void {
    this.#turn.push(task)
  }

  after(delayMs: number, task: () => void): unknown {
    const timer = { dueMs: this.#nowMs + delayMs, task }
    this.#timers.add(timer)
    return timer
  }

  cancel(timer: unknown): void {
    this.#timers.delete(timer as Timer)
  }

  dial(): Dial {
    return handler => {
      if (this.refusesDial) throw new Error('the network is unreachable')
      const broker = new HostileBroker(handler, this, this.#chance)
      this.brokers.push(broker)
      return broker
    }
  }

  adopt(): null {
    return null
  }

  parts(): Parts {
    return AllParts
  }

  /** Calls into the client, which must not throw. */
  guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.thrown ??= error instanceof Error ? String(error.stack) : String(error)
    }
  }

  /** Runs promises and the ends of turns until nothing moves. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await new Promise(resolve => setImmediate(resolve))
      const due = this.#turn
      this.#turn = []
      if (due.length > 0) quiet = -1
      for (const task of due) this.guard(task)
    }
  }

  /** Turns the clock, timer by timer. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      let next: Timer | null = null
      for (const timer of this.#timers) {
        if (timer.dueMs <= endMs && (next === null || timer.dueMs < next.dueMs)) next = timer
      }
      if (next === null) break
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      this.guard(next.task)
      await this.settle()
    }
    this.#nowMs = endMs
    await this.settle()
  }
}
