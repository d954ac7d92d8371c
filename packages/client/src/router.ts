// hot
// Which subscriptions get a message: by subscription identifier when the server says it, else by
// topic, remembered per topic until a subscription comes or goes.

import { hasWildcard, parseSharedFilter, topicMatches } from '@godwit/packet'
import { protocolError } from './errors.ts'
import type { Incoming } from './incoming.ts'
import { Limits } from './limits.ts'
import type { PublishReader } from './publish-reader.ts'
import type { TopicTemplate } from './topic-template.ts'
import type { Wanted } from './wanted.ts'

/** Who can get messages. */
export interface Taker {
  readonly templates: readonly TopicTemplate[]
  readonly wanted: readonly Wanted[]
  /** Whether it cannot hold another message of QoS 1 or 2, and must not lose it either. */
  isOverrun(incoming: Incoming): boolean
  offer(
    source: PublishReader,
    topic: string,
    incoming: Incoming,
    template: TopicTemplate | null,
  ): void
}

interface Route {
  readonly taker: Taker
  readonly template: TopicTemplate | null
}

/** A subscription's filter, without what makes it shared. */
interface Entry {
  readonly taker: Taker
  readonly template: TopicTemplate
  readonly filter: string
}

const QUOTA_EXCEEDED = 0x97
const NO_ROUTES: readonly Route[] = []

export class Router {
  /** Gets what matches no other; null for nobody. */
  fallback: Taker | null = null
  /** Filters without wildcards by themselves, so that thousands of them cost no more than one. */
  private exact: Map<string, Entry[]> | null = null
  private wild: Entry[] | null = null
  private routes: Map<string, readonly Route[]> | null = null
  private lastTopic = ''
  private lastRoutes: readonly Route[] = NO_ROUTES

  add(taker: Taker): void {
    for (const entry of entriesOf(taker)) {
      if (hasWildcard(entry.filter)) {
        this.wild ??= []
        this.wild.push(entry)
        continue
      }
      this.exact ??= new Map()
      const same = this.exact.get(entry.filter)
      if (same === undefined) this.exact.set(entry.filter, [entry])
      else same.push(entry)
    }
    this.changed()
  }

  remove(taker: Taker): void {
    if (this.fallback === taker) this.fallback = null
    for (const { filter } of entriesOf(taker)) {
      const same = this.exact?.get(filter)?.filter(entry => entry.taker !== taker)
      if (same === undefined) continue
      if (same.length === 0) this.exact?.delete(filter)
      else this.exact?.set(filter, same)
    }
    if (this.wild !== null) this.wild = this.wild.filter(entry => entry.taker !== taker)
    this.changed()
  }

  /** Those whose filters are others than `filter`, but could match what it matches. */
  overlapping(filter: string): Taker[] {
    const inner = innerOf(filter)
    const found: Taker[] = []
    const consider = (entry: Entry): void => {
      if (entry.template.filter !== filter && filtersOverlap(entry.filter, inner)) {
        found.push(entry.taker)
      }
    }
    for (const entry of this.wild ?? []) consider(entry)
    if (hasWildcard(inner)) {
      for (const entries of this.exact?.values() ?? []) entries.forEach(consider)
    } else {
      this.exact?.get(inner)?.forEach(consider)
    }
    return found
  }

  /** Gives a message to all who want it. @returns whether there was one */
  deliver(source: PublishReader, topic: string, incoming: Incoming): boolean {
    const identifiers = source.properties.subscriptionIdentifiers
    const routes =
      identifiers === undefined ? this.routesOf(topic) : this.identified(topic, identifiers)
    if (source.qos > 0) refuseOverrun(routes, incoming)
    for (let i = 0; i < routes.length; i++) {
      const route = routes[i] as Route
      route.taker.offer(source, topic, incoming, route.template)
    }
    if (routes.length > 0) return true
    if (this.fallback === null) return false
    this.fallback.offer(source, topic, incoming, null)
    return true
  }

  private routesOf(topic: string): readonly Route[] {
    if (topic === this.lastTopic) return this.lastRoutes
    this.routes ??= new Map()
    let routes = this.routes.get(topic)
    if (routes === undefined) {
      routes = this.match(topic)
      if (this.routes.size >= Limits.routes) this.routes.clear()
      this.routes.set(topic, routes)
    }
    this.lastTopic = topic
    this.lastRoutes = routes
    return routes
  }

  private match(topic: string): readonly Route[] {
    const found = new Map<Taker, Route>()
    for (const { taker, template } of this.exact?.get(topic) ?? []) {
      if (!found.has(taker)) found.set(taker, { taker, template })
    }
    for (const { taker, template, filter } of this.wild ?? []) {
      if (topicMatches(filter, topic) && !found.has(taker)) found.set(taker, { taker, template })
    }
    return found.size === 0 ? NO_ROUTES : [...found.values()]
  }

  private identified(topic: string, identifiers: readonly number[]): readonly Route[] {
    const routes = this.match(topic).filter(({ taker }) => {
      return taker.wanted.some(({ identifier }) => identifiers.includes(identifier))
    })
    // An identifier of an earlier process says nothing.
    return routes.length > 0 ? routes : this.routesOf(topic)
  }

  private changed(): void {
    this.routes = null
    this.lastTopic = ''
    this.lastRoutes = NO_ROUTES
  }
}

/** Before anybody has got the message. @throws PacketError */
function refuseOverrun(routes: readonly Route[], incoming: Incoming): void {
  for (let i = 0; i < routes.length; i++) {
    if (!(routes[i] as Route).taker.isOverrun(incoming)) continue
    const text = 'more messages than anybody reads'
    protocolError(text, QUOTA_EXCEEDED)
  }
}

function entriesOf(taker: Taker): Entry[] {
  return taker.templates.map(template => {
    return { taker, template, filter: innerOf(template.filter) }
  })
}

function innerOf(filter: string): string {
  return filter.startsWith('$share/') ? (parseSharedFilter(filter)?.filter ?? filter) : filter
}

/** The first of a subscription's filters that matches, null when none does. */
export function matching(templates: readonly TopicTemplate[], topic: string): TopicTemplate | null {
  for (const template of templates) {
    if (topicMatches(innerOf(template.filter), topic)) return template
  }
  return null
}

/** Whether a topic can match both filters; when in doubt it says yes. */
export function filtersOverlap(first: string, second: string): boolean {
  const a = first.split('/')
  const b = second.split('/')
  for (let i = 0; ; i++) {
    const x = a[i]
    const y = b[i]
    if (x === '#' || y === '#') return true
    // "a/#" matches "a" too.
    if (x === undefined) return y === undefined
    if (y === undefined) return false
    if (x !== y && x !== '+' && y !== '+') return false
  }
}
