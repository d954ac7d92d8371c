// What publishers may make of one turn: a message among many filters with wildcards, or for many
// receivers, can take milliseconds, and a chunk of a socket holds thousands. A publisher that has
// taken the share of the turn rests, unread, until the next one: others are served between.

import type { Broker } from './broker.ts'
import type { Connection } from './connection.ts'

/** A level of the tree of filters that is looked at, in deliveries. */
const LEVEL_WORK = 4
/** To look at so many members (a power of two) is one delivery. */
const LOOK_WORK_SHIFT = 2

export class Workload {
  private readonly broker: Broker
  private readonly workPerTurn: number
  private deliveries = 0
  private resting: Connection[] = []

  constructor(broker: Broker) {
    this.broker = broker
    this.workPerTurn = broker.shares.workPerTurn
  }

  /** Connections rest. */
  get waits(): boolean {
    return this.resting.length > 0
  }

  /** A message of the connection has been handled. */
  published(connection: Connection): void {
    const route = connection.lastRoute
    if (route !== null) this.deliveries += route.receivers.length + route.groups.length
    if (!this.isTooMuch || connection.resting) return
    connection.rest()
    this.resting.push(connection)
    this.broker.sender.requestTurn()
  }

  /** So many members of a group were looked at for one that may have the message. */
  looked(memberCount: number): void {
    this.deliveries += memberCount >> LOOK_WORK_SHIFT
  }

  /** A turn ends: those that rest go on, in their order, as far as the share of the next lasts. */
  goOn(): void {
    this.deliveries = 0
    this.broker.router.index.visited = 0
    const { resting } = this
    if (resting.length === 0) return
    this.resting = []
    let at = 0
    while (at < resting.length && !this.isTooMuch) resting[at++]?.restEnded()
    if (at < resting.length) this.resting = [...resting.slice(at), ...this.resting]
    if (this.resting.length > 0) this.broker.sender.requestTurn()
  }

  private get isTooMuch(): boolean {
    return this.deliveries + LEVEL_WORK * this.broker.router.index.visited > this.workPerTurn
  }
}
