// hot
// What a connection writes: packets are collected during a turn and written once at its end. Many
// connections take turns with a few buffers, so that an idle one has none.

import { Writer } from '@godwit/packet'
import { SPARE_WRITER_BYTES_MAX, SPARE_WRITERS_MAX } from './limits.ts'
import type { Platform } from './transport.ts'

const spare: Writer[] = []

/** A buffer to write packets to. */
export function takeWriter(): Writer {
  return spare.pop() ?? new Writer()
}

/** Gives a buffer back that nobody uses any more. */
export function giveWriter(writer: Writer): void {
  if (spare.length >= SPARE_WRITERS_MAX || writer.bytes.length > SPARE_WRITER_BYTES_MAX) return
  writer.reset()
  spare.push(writer)
}

/** Who has something to do at the end of a turn. */
export interface TurnMember {
  turnEnded(): void
}

/** Everybody who has something to do at the end of this turn. */
export class TurnEnd {
  private readonly platform: Platform
  private members: TurnMember[] = []
  private others: TurnMember[] = []
  private scheduled = false

  constructor(platform: Platform) {
    this.platform = platform
  }

  /** Must be called at most once per member and turn. */
  add(member: TurnMember): void {
    this.members.push(member)
    if (this.scheduled) return
    this.scheduled = true
    this.platform.atTurnEnd(this.run)
  }

  private readonly run = (): void => {
    this.scheduled = false
    const members = this.members
    this.members = this.others
    for (let i = 0; i < members.length; i++) (members[i] as TurnMember).turnEnded()
    members.length = 0
    this.others = members
  }
}

const turns = new WeakMap<Platform, TurnEnd>()

/** The turn's end of a platform. */
export function turnEndOf(platform: Platform): TurnEnd {
  let turn = turns.get(platform)
  if (turn === undefined) {
    turn = new TurnEnd(platform)
    turns.set(platform, turn)
  }
  return turn
}
