// hot
// The topics that a client's aliases stand for, bounded in number and in bytes. The standard has
// every alias up to the announced number taken, and lets a server refuse what is too much for it
// (4.13.2): without a bound of bytes a thousand clients could keep gigabytes. Each client has some
// for itself; who has long topics takes the rest out of a pool that all share.

import { PacketError, ReasonCode } from '@godwit/packet'
import type { Route } from './router.ts'

/** Bytes of topics that clients have beyond their own share. */
export class AliasPool {
  readonly bytesMax: number
  byteCount = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }
}

export class Aliases {
  /** The index is the alias. */
  private readonly routes: (Route | null)[]
  private readonly countMax: number
  /** Of its own. */
  private readonly bytesMax: number
  private readonly pool: AliasPool
  private byteCount = 0

  constructor(countMax: number, bytesMax: number, pool: AliasPool) {
    this.routes = new Array(countMax + 1).fill(null)
    this.countMax = countMax
    this.bytesMax = bytesMax
    this.pool = pool
  }

  /** @throws PacketError for an alias that stands for nothing */
  get(alias: number): Route {
    this.check(alias)
    const known = this.routes[alias] ?? null
    if (known !== null) return known
    const text = `topic alias ${alias} stands for no topic yet`
    throw new PacketError('protocol-error', ReasonCode.PROTOCOL_ERROR, text)
  }

  /** @throws PacketError for an alias or topics beyond the bounds */
  set(alias: number, route: Route): void {
    this.check(alias)
    const before = this.routes[alias]?.topicBytes.length ?? 0
    this.resize(this.byteCount - before + route.topicBytes.length)
    this.routes[alias] = route
  }

  /** Its connection has ended: what it has of the pool goes back. */
  release(): void {
    this.routes.fill(null)
    this.resize(0)
  }

  private resize(byteCount: number): void {
    const { pool, bytesMax } = this
    const more = beyond(byteCount, bytesMax) - beyond(this.byteCount, bytesMax)
    if (more > 0 && pool.byteCount + more > pool.bytesMax) {
      const left = `the pool has ${pool.bytesMax - pool.byteCount} left of ${pool.bytesMax}`
      const text = `the topics of aliases have ${byteCount} bytes of ${bytesMax}, ${left}`
      throw new PacketError('protocol-error', ReasonCode.QUOTA_EXCEEDED, text)
    }
    pool.byteCount += more
    this.byteCount = byteCount
  }

  private check(alias: number): void {
    if (alias <= this.countMax) return // [MQTT-3.3.2-9] [MQTT-3.3.2-12]
    const text = `topic alias ${alias} came, the maximum is ${this.countMax}`
    throw new PacketError('topic-alias-invalid', ReasonCode.TOPIC_ALIAS_INVALID, text)
  }
}

function beyond(byteCount: number, bytesMax: number): number {
  return byteCount > bytesMax ? byteCount - bytesMax : 0
}
