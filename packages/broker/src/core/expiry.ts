// All that happens at a time: keep alive, CONNECT time limits, will delays, expiries. One wheel of
// slots that one `tick` turns; there is no timer per connection. It knows nothing of what is due.

const SLOT_MS = 100

/** Whose time may come; a session and a connection are this themselves and need no closure. */
export interface Due {
  due(timer: Timer): void
}

/** Something that is due once. Cancelling and setting again cost the same whatever waits. */
export class Timer {
  readonly owner: Due
  /** Monotonic milliseconds, or -1 when it is not set. */
  atMs = -1
  slot = -1
  previous: Timer | null = null
  next: Timer | null = null

  constructor(owner: Due) {
    this.owner = owner
  }
}

export class TimerWheel {
  private readonly slots = new Map<number, Timer>()
  private turnedTo: number

  constructor(nowMs: number) {
    this.turnedTo = Math.floor(nowMs / SLOT_MS)
  }

  set(timer: Timer, atMs: number): void {
    this.cancel(timer)
    const slot = Math.max(Math.ceil(atMs / SLOT_MS), this.turnedTo + 1)
    const first = this.slots.get(slot) ?? null
    timer.atMs = atMs
    timer.slot = slot
    timer.next = first
    if (first !== null) first.previous = timer
    this.slots.set(slot, timer)
  }

  cancel(timer: Timer): void {
    if (timer.slot < 0) return
    if (timer.previous !== null) timer.previous.next = timer.next
    else if (timer.next !== null) this.slots.set(timer.slot, timer.next)
    else this.slots.delete(timer.slot)
    if (timer.next !== null) timer.next.previous = timer.previous
    timer.previous = null
    timer.next = null
    timer.slot = -1
    timer.atMs = -1
  }

  /** Calls whatever is due by now, in the order of time. */
  turn(nowMs: number): void {
    const until = Math.floor(nowMs / SLOT_MS)
    if (until <= this.turnedTo) return
    const slots = this.dueSlots(until)
    this.turnedTo = until
    for (const slot of slots) {
      for (let timer = this.slots.get(slot); timer !== undefined; timer = this.slots.get(slot)) {
        this.cancel(timer)
        timer.owner.due(timer)
      }
    }
  }

  /** Looks at the slots or at the span of time, whichever is shorter: a clock may jump far. */
  private dueSlots(until: number): number[] {
    const due: number[] = []
    if (until - this.turnedTo <= this.slots.size) {
      for (let slot = this.turnedTo + 1; slot <= until; slot++) {
        if (this.slots.has(slot)) due.push(slot)
      }
      return due
    }
    for (const slot of this.slots.keys()) if (slot <= until) due.push(slot)
    return due.sort((a, b) => a - b)
  }
}
