// hot
// Which subscriptions match a topic. Filters without wildcards lie in one map, the others in a tree
// of levels, so that a lookup costs the same among a thousand subscriptions and a million.

import { ownText } from './own-text.ts'
import type { Session } from './session.ts'
import type { Group } from './shared.ts'

/** One subscription of one session. MQTT 5.0 section 3.8.3.1. */
export class Subscription {
  /** While the session sleeps (see sleepers.ts) the one that stands for all of them. */
  session: Session
  /** Of the sleeping session; -1 when it is awake. */
  slot = -1
  /** As the client wrote it, `$share/...` included. */
  readonly filter: string
  qos: 0 | 1 | 2
  noLocal: boolean
  retainAsPublished: boolean
  retainHandling: 0 | 1 | 2
  /** 0: none. */
  identifier: number
  /** The shared group that it belongs to. */
  group: Group | null = null
  /** Place in the list of its filter. */
  position = 0

  constructor(session: Session, filter: string) {
    this.session = session
    this.filter = filter
    this.qos = 0
    this.noLocal = false
    this.retainAsPublished = false
    this.retainHandling = 0
    this.identifier = 0
  }

  /** As the store keeps it. */
  get options(): number {
    return (
      this.qos |
      (this.noLocal ? 4 : 0) |
      (this.retainAsPublished ? 8 : 0) |
      (this.retainHandling << 4)
    )
  }

  set options(options: number) {
    this.qos = (options & 3) as 0 | 1 | 2
    this.noLocal = (options & 4) !== 0
    this.retainAsPublished = (options & 8) !== 0
    this.retainHandling = ((options >> 4) & 3) as 0 | 1 | 2
  }
}

/** All subscriptions and shared groups of one filter. */
class FilterEntry {
  readonly subscriptions: Subscription[] = []
  groups: Group[] | null = null

  get empty(): boolean {
    return this.subscriptions.length === 0 && (this.groups === null || this.groups.length === 0)
  }
}

/** One level of the tree of filters with wildcards. */
class Level {
  readonly parent: Level | null
  /** The level's text, '+' or '#'. */
  readonly name: string
  children: Map<string, Level> | null = null
  plus: Level | null = null
  hash: Level | null = null
  /** The one subscription of the filter that ends here, as long as there is no other. */
  entry: Subscription | FilterEntry | null = null

  constructor(parent: Level | null, name: string) {
    this.parent = parent
    this.name = name
  }

  get empty(): boolean {
    return this.entry === null && this.plus === null && this.hash === null && this.children === null
  }
}

/** What a lookup found; reused by the next one. */
export interface Matches {
  readonly subscriptions: Subscription[]
  readonly groups: Group[]
}

export class SubscriptionIndex {
  private readonly exact = new Map<string, Subscription | FilterEntry>()
  private readonly root = new Level(null, '')
  private readonly path: Level[] = []
  private readonly depth: number[] = []
  /** Subscriptions, those in groups not included. */
  size = 0
  /** Levels of the tree. */
  levels = 0
  /** Levels that lookups went through; whoever bounds them begins again at 0. */
  visited = 0

  /** @param filter of the subscription, without a share name */
  add(filter: string, subscription: Subscription): void {
    this.size++
    if (hasWildcard(filter)) {
      const level = this.levelOf(filter)
      if (level.entry === null) {
        level.entry = subscription
        return
      }
    } else {
      const only = this.exact.get(filter)
      if (only === undefined) {
        this.exact.set(filter, subscription)
        return
      }
    }
    const entry = this.entryOf(filter)
    subscription.position = entry.subscriptions.length
    entry.subscriptions.push(subscription)
  }

  remove(filter: string, subscription: Subscription): void {
    this.size--
    const only = hasWildcard(filter) ? this.levelOf(filter).entry : this.exact.get(filter)
    if (only === subscription) {
      this.prune(filter)
      return
    }
    const entry = this.entryOf(filter)
    const last = entry.subscriptions.pop()
    if (last !== undefined && last !== subscription) {
      entry.subscriptions[subscription.position] = last
      last.position = subscription.position
    }
    if (entry.empty) this.prune(filter)
  }

  addGroup(filter: string, group: Group): void {
    const entry = this.entryOf(filter)
    if (entry.groups === null) entry.groups = []
    entry.groups.push(group)
  }

  removeGroup(filter: string, group: Group): void {
    const entry = this.entryOf(filter)
    const at = entry.groups?.indexOf(group) ?? -1
    if (at >= 0) entry.groups?.splice(at, 1)
    if (entry.groups?.length === 0) entry.groups = null
    if (entry.empty) this.prune(filter)
  }

  /** Adds to `into` whatever matches the topic. MQTT 5.0 section 4.7. */
  match(topic: string, into: Matches): void {
    const exact = this.exact.get(topic)
    if (exact !== undefined) collect(exact, into)
    if (!this.root.empty) this.matchTree(topic, into)
  }

  /** A walk with a stack of its own, since the depth is the peer's choice. */
  private matchTree(topic: string, into: Matches): void {
    const names = topic.split('/') // no normalization [MQTT-4.7.3-4]
    const path = this.path
    const depth = this.depth
    const root = this.root
    if (topic.charCodeAt(0) === 0x24) {
      const child = root.children?.get(names[0] as string) // [MQTT-4.7.2-1]
      if (child === undefined) return
      path[0] = child
      depth[0] = 1
    } else {
      path[0] = root
      depth[0] = 0
    }
    let waiting = 1
    while (waiting > 0) {
      waiting--
      this.visited++
      const level = path[waiting] as Level
      const at = depth[waiting] as number
      const hash = level.hash
      if (hash !== null && hash.entry !== null) collect(hash.entry, into)
      if (at === names.length) {
        if (level.entry !== null) collect(level.entry, into)
        continue
      }
      if (level.plus !== null) {
        path[waiting] = level.plus
        depth[waiting++] = at + 1
      }
      if (level.children === null) continue
      const child = level.children.get(names[at] as string)
      if (child !== undefined) {
        path[waiting] = child
        depth[waiting++] = at + 1
      }
    }
  }

  private entryOf(filter: string): FilterEntry {
    return hasWildcard(filter) ? this.wildcardEntryOf(filter) : this.exactEntryOf(filter)
  }

  private exactEntryOf(filter: string): FilterEntry {
    const known = this.exact.get(filter) ?? null
    if (known instanceof FilterEntry) return known
    const entry = entryWith(known)
    this.exact.set(filter, entry)
    return entry
  }

  private wildcardEntryOf(filter: string): FilterEntry {
    const level = this.levelOf(filter)
    if (level.entry instanceof FilterEntry) return level.entry
    const entry = entryWith(level.entry)
    level.entry = entry
    return entry
  }

  private levelOf(filter: string): Level {
    let level = this.root
    for (const name of filter.split('/')) {
      if (name === '+') {
        level.plus ??= this.newLevel(level, name)
        level = level.plus
      } else if (name === '#') {
        level.hash ??= this.newLevel(level, name)
        level = level.hash
      } else {
        if (level.children === null) level.children = new Map()
        let child = level.children.get(name)
        if (child === undefined) {
          child = this.newLevel(level, ownText(name))
          level.children.set(child.name, child)
        }
        level = child
      }
    }
    return level
  }

  /** How many levels of a filter with wildcards are not there yet. */
  newLevels(filter: string): number {
    const names = filter.split('/')
    let level: Level | null = this.root
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string
      if (name === '+') level = level.plus
      else level = name === '#' ? level.hash : (level.children?.get(name) ?? null)
      if (level === null) return names.length - i
    }
    return 0
  }

  private newLevel(parent: Level, name: string): Level {
    this.levels++
    return new Level(parent, name)
  }

  private prune(filter: string): void {
    if (!hasWildcard(filter)) {
      this.exact.delete(filter)
      return
    }
    let level: Level = this.levelOf(filter)
    level.entry = null
    while (level.empty && level.parent !== null) {
      this.levels--
      const parent = level.parent
      if (parent.plus === level) parent.plus = null
      else if (parent.hash === level) parent.hash = null
      else if (parent.children !== null) {
        parent.children.delete(level.name)
        if (parent.children.size === 0) parent.children = null
      }
      level = parent
    }
  }
}

function entryWith(subscription: Subscription | null): FilterEntry {
  const entry = new FilterEntry()
  if (subscription !== null) {
    subscription.position = 0
    entry.subscriptions.push(subscription)
  }
  return entry
}

function collect(entry: Subscription | FilterEntry, into: Matches): void {
  if (entry instanceof Subscription) {
    into.subscriptions.push(entry)
    return
  }
  const subscriptions = entry.subscriptions
  for (let i = 0; i < subscriptions.length; i++) {
    into.subscriptions.push(subscriptions[i] as Subscription)
  }
  const groups = entry.groups
  if (groups !== null) for (let i = 0; i < groups.length; i++) into.groups.push(groups[i] as Group)
}

export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#')
}
