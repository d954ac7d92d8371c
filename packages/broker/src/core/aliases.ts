// hot
// The topics that a client's aliases stand for, bounded in number and in bytes. The standard has
// every alias up to the announced number taken, and lets a server refuse what is too much for it
// (4.13.2): without the bound of bytes a thousand clients could keep gigabytes.

import { PacketError, ReasonCode } from '@godwit/packet'
import type { Route } from './router.ts'

export class Aliases {
  /** The index is the alias. */
  private readonly routes: (Route | null)[]
  private readonly countMax: number
  private readonly bytesMax: number
  private byteCount = 0

  constructor(countMax: number, bytesMax: number) {
    this.routes = new Array(countMax + 1).fill(null)
    this.countMax = countMax
    this.bytesMax = bytesMax
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
    const byteCount = this.byteCount - before + route.topicBytes.length
    if (byteCount > this.bytesMax) {
      const text = `the topics of aliases have ${byteCount} bytes, the limit is ${this.bytesMax}`
      throw new PacketError('protocol-error', ReasonCode.QUOTA_EXCEEDED, text)
    }
    this.byteCount = byteCount
    this.routes[alias] = route
  }

  private check(alias: number): void {
    if (alias <= this.countMax) return // [MQTT-3.3.2-9] [MQTT-3.3.2-12]
    const text = `topic alias ${alias} came, the maximum is ${this.countMax}`
    throw new PacketError('topic-alias-invalid', ReasonCode.TOPIC_ALIAS_INVALID, text)
  }
}
