// Retained messages, in a tree of topic levels, and the walk over those that a filter matches.
// A walk holds a place per level, not a list of what it found: a million retained messages reach a
// subscriber one by one, at its own pace, and cost no memory meanwhile. MQTT 5.0 section 3.3.1.3.

import { type Message, NEVER_EXPIRES } from './message.ts'
import { ownText } from './own-text.ts'
import type { Subscription } from './subscriptions.ts'

const HASH = 0x23
const PLUS = 0x2b

class Place {
  readonly parent: Place | null
  readonly name: string
  children: Map<string, Place> | null = null
  message: Message | null = null
  /** Grows with each message that is retained anywhere. */
  serial = 0

  constructor(parent: Place | null, name: string) {
    this.parent = parent
    this.name = name
  }
}

export class RetainedMessages {
  private readonly root = new Place(null, '')
  count = 0
  bytes = 0
  serial = 0
  /** Messages that expire some day. */
  expiring = 0
  /** Places in the tree. */
  levels = 0

  get(topic: string): Message | null {
    return this.find(topic)?.message ?? null
  }

  /** Replaces the topic's message [MQTT-3.3.1-5]. @returns the one before */
  set(topic: string, message: Message): Message | null {
    let place = this.root
    for (const name of topic.split('/')) {
      place.children ??= new Map()
      let child = place.children.get(name)
      if (child === undefined) {
        child = new Place(place, ownText(name))
        place.children.set(child.name, child)
        this.levels++
      }
      place = child
    }
    const before = place.message
    place.message = message
    place.serial = ++this.serial
    this.bytes += message.byteLength - (before?.byteLength ?? 0)
    if (before === null) this.count++
    else if (before.expiresAtMs !== NEVER_EXPIRES) this.expiring--
    if (message.expiresAtMs !== NEVER_EXPIRES) this.expiring++
    return before
  }

  /** @returns the message that was there */
  remove(topic: string): Message | null {
    const place = this.find(topic)
    if (place === null || place.message === null) return null
    const before = place.message
    place.message = null
    this.count--
    if (before.expiresAtMs !== NEVER_EXPIRES) this.expiring--
    this.bytes -= before.byteLength
    this.prune(place)
    return before
  }

  /** How many levels of the topic are not there yet. */
  newLevels(topic: string): number {
    const names = topic.split('/')
    let place: Place | undefined = this.root
    for (let i = 0; i < names.length; i++) {
      place = place.children?.get(names[i] as string)
      if (place === undefined) return names.length - i
    }
    return 0
  }

  /** False: nothing that is retained now matches `filter`, as its first level alone shows. */
  mayMatch(filter: string): boolean {
    const { children } = this.root
    if (children === null) return false
    const first = filter.charCodeAt(0)
    if (first === PLUS || first === HASH) return true
    const slash = filter.indexOf('/')
    return children.has(slash < 0 ? filter : filter.slice(0, slash))
  }

  /** Begins a walk over what matches `filter`; what was retained after `serialMax` is left out. */
  walk(filter: string, serialMax: number = this.serial): RetainedWalk {
    return new RetainedWalk(this.root, filter, serialMax)
  }

  /** A walk over all, those included that no wildcard matches. */
  walkAll(): RetainedWalk {
    return new RetainedWalk(this.root, '#', this.serial, true)
  }

  private find(topic: string): Place | null {
    let place: Place | undefined = this.root
    for (const name of topic.split('/')) {
      place = place.children?.get(name)
      if (place === undefined) return null
    }
    return place
  }

  private prune(from: Place): void {
    let place = from
    while (place.message === null && place.children === null && place.parent !== null) {
      const parent: Place = place.parent
      parent.children?.delete(place.name)
      this.levels--
      if (parent.children?.size === 0) parent.children = null
      place = parent
    }
  }
}

/** Stands for "look again later": the walk has used up its steps and is not at its end. */
export const MORE: unique symbol = Symbol('more')

interface Step {
  readonly place: Place
  readonly depth: number
  readonly children: IterableIterator<Place> | null
}

export class RetainedWalk {
  private readonly names: readonly string[]
  private readonly serialMax: number
  private readonly isOfAll: boolean
  private readonly stack: Step[] = []
  /** Places that the last `next` looked at. */
  looked = 0

  /** @param isOfAll topics that begin with $ as well */
  constructor(root: Place, filter: string, serialMax: number, isOfAll = false) {
    this.names = filter.split('/')
    this.serialMax = serialMax
    this.isOfAll = isOfAll
    this.enter(root, 0)
  }

  /**
   * @param steps how many places to look at before answering MORE
   * @returns the next message, null at the end
   */
  next(steps: number): Message | null | typeof MORE {
    this.looked = 0
    while (this.looked < steps) {
      this.looked++
      const step = this.stack[this.stack.length - 1]
      if (step === undefined) return null
      const child = this.advance(step)
      if (child === null) {
        this.stack.pop()
        continue
      }
      const found = this.visit(child, step.depth)
      if (found !== null) return found
    }
    return this.stack.length === 0 ? null : MORE
  }

  private advance(step: Step): Place | null {
    if (step.children === null) return null
    for (;;) {
      const next = step.children.next()
      if (next.done) return null
      // [MQTT-4.7.2-1]
      const special = step.place.parent === null && next.value.name.startsWith('$')
      if (special && this.isWildcard(0) && !this.isOfAll) continue
      return next.value
    }
  }

  /** Enters the children of a place that matched so far. @returns its message if all matches */
  private visit(place: Place, depth: number): Message | null {
    const name = this.names[depth]
    const last = depth === this.names.length - 1
    if (name === '#') this.enter(place, depth)
    else if (!last) this.enter(place, depth + 1)
    const parentOfHash = depth === this.names.length - 2 && this.names[depth + 1] === '#'
    const matches = name === '#' || last || parentOfHash
    return matches && place.serial <= this.serialMax ? place.message : null
  }

  private enter(place: Place, depth: number): void {
    if (place.children === null) return
    if (this.isWildcard(depth)) {
      this.stack.push({ place, depth, children: place.children.values() })
      return
    }
    const child = place.children.get(this.names[depth] ?? '')
    if (child === undefined) return
    this.stack.push({ place, depth, children: [child].values() })
  }

  private isWildcard(depth: number): boolean {
    const name = this.names[depth]
    return name === '+' || name === '#'
  }
}

/** The retained messages that one new subscription still has to get. */
export interface RetainedJob {
  readonly subscription: Subscription
  /** As it was asked for: the subscription may have other options by now. */
  readonly qos: 0 | 1 | 2
  readonly noLocal: boolean
  /** The last message that was retained before it subscribed: later ones came live. */
  readonly serialMax: number
  /** null until it is this job's turn. */
  walk: RetainedWalk | null
  /** Found, and waiting for room. */
  waiting: Message | null
  /** What the same subscription has asked for after it, with other options. */
  again: RetainedJob | null
}
