// The ends of long queues, which are in the store only: asked for page by page, ahead of need, so
// that a client with a hundred thousand messages to come has a few hundred of them in memory.

import type { Broker } from './broker.ts'
import { storedMessage } from './keep.ts'
import type { DropReason } from './ledger.ts'
import type { StoredEntry, StoredPage } from './ports.ts'
import { Delivery, DeliveryQueue, type Session, Tail } from './session.ts'

const PAGE_BYTES = 1024 * 1024

export class Tails {
  private readonly broker: Broker

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** Whether what comes next stays out of memory. */
  isLong(session: Session): boolean {
    if (!this.broker.ports.store.pages) return false
    return (session.queue?.length ?? 0) >= this.broker.paging.inMemoryMax
  }

  /** Puts a message at the end: into the store, and into memory when it is next after the page. */
  add(session: Session, delivery: Delivery): void {
    session.tail ??= new Tail(session.nextSequence - 1)
    const { tail } = session
    this.broker.queues.store(session, delivery)
    const { byteLength } = delivery.message
    session.queuedMessages++
    session.queuedBytes += byteLength
    const { inMemoryMax } = this.broker.paging
    if (tail.arrivals !== null && tail.arrivals.length >= inMemoryMax) this.spill(tail)
    if (tail.arrivals !== null) {
      tail.arrivals.push(delivery)
      this.broker.queues.totalBytes += byteLength
    } else {
      tail.messages++
      tail.bytes += byteLength
      delivery.message.holders--
    }
    this.broker.queues.wake(session)
  }

  /** Asks for the next page when the memory runs low. */
  refill(session: Session): void {
    const { tail } = session
    if (tail === null || tail.ticket !== 0) return
    const { sleep, ports, paging } = this.broker
    if ((session.queue?.length ?? 0) > paging.refillAt) return
    tail.ticket = sleep.ask(page => this.filled(session, page))
    if (tail.messages <= paging.page) tail.arrivals = []
    ports.store.fetch(tail.ticket, session.storedId, tail.after + 1, paging.page, PAGE_BYTES)
  }

  /** A whole session has been fetched: what is in the first page, and how much comes after it. */
  begin(session: Session, messages: number, bytes: number): void {
    if (messages <= 0) return
    session.tail = new Tail(session.nextSequence - 1)
    session.tail.messages = messages
    session.tail.bytes = bytes
    let last = 0
    session.inflight?.each((_packetId, _state, delivery) => {
      if (delivery !== null && delivery.sequence > last) last = delivery.sequence
    })
    session.tail.after = Math.max(last, session.queue?.last?.sequence ?? 0)
  }

  discard(session: Session, reason: DropReason): void {
    const { tail } = session
    if (tail === null) return
    if (tail.arrivals !== null) this.spill(tail)
    this.broker.loseMany(reason, session.clientId, '', tail.messages, tail.bytes)
    this.forget(session, tail)
  }

  letGo(session: Session): void {
    const { tail } = session
    if (tail === null) return
    if (tail.arrivals !== null) this.spill(tail)
    this.cancel(tail)
    session.tail = null
  }

  private filled(session: Session, page: StoredPage): void {
    const { tail } = session
    if (tail === null || tail.ticket !== page.ticket) return
    tail.ticket = 0
    const arrivals = tail.arrivals
    const until = arrivals?.[0]?.sequence ?? session.nextSequence
    session.queue ??= new DeliveryQueue()
    let taken = 0
    for (const entry of page.entries) {
      const { sequence, byteLength } = entry.delivery
      if (sequence >= until) break
      session.queue.push(deliveryOf(entry))
      this.broker.queues.totalBytes += byteLength
      tail.messages--
      tail.bytes -= byteLength
      tail.after = sequence
      taken++
    }
    if (tail.messages > 0 && taken > 0) {
      if (arrivals !== null) this.spill(tail)
    } else {
      // What the store does not have is not there.
      if (tail.messages > 0) this.forget(session, tail)
      for (const delivery of arrivals ?? []) session.queue.push(delivery)
      session.tail = null
    }
    this.broker.queues.wake(session)
  }

  /** What came since the page was asked for goes out of memory: it is in the store. */
  private spill(tail: Tail): void {
    for (const delivery of tail.arrivals ?? []) {
      tail.messages++
      tail.bytes += delivery.message.byteLength
      this.broker.queues.drop(delivery)
    }
    tail.arrivals = null
  }

  private forget(session: Session, tail: Tail): void {
    session.queuedMessages -= tail.messages
    session.queuedBytes -= tail.bytes
    this.cancel(tail)
    session.tail = null
  }

  private cancel(tail: Tail): void {
    if (tail.ticket !== 0) this.broker.sleep.cancel(tail.ticket)
    tail.ticket = 0
  }
}

/** As it was when it was put into the queue. */
export function deliveryOf({ delivery, message }: StoredEntry): Delivery {
  const qos = (delivery.flags & 3) === 2 ? 2 : 1
  const kept = storedMessage(message)
  const back = new Delivery(kept, qos, (delivery.flags & 4) !== 0, delivery.identifiers)
  back.ownerId = delivery.ownerId
  back.sequence = delivery.sequence
  kept.holders = 1
  return back
}
