// hot
// Which subscriptions get a message: by subscription identifier when the server says it, else by
// topic, remembered per topic until a subscription comes or goes.

import { parseSharedFilter, topicMatches } from '@godwit/packet'
import type { Incoming } from './incoming.ts'
import { Limits } from './limits.ts'
import type { PublishReader } from './publish-reader.ts'
import type { TopicTemplate } from './topic-template.ts'
import type { Wanted } from './wanted.ts'

/** Who can get messages. */
export interface Taker {
  readonly templates: readonly TopicTemplate[]
  readonly wanted: readonly Wanted[]
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

const NO_ROUTES: readonly Route[] = []

export class Router {
  readonly takers: Taker[] = []
  /** Gets what matches no other; null for nobody. */
  fallback: Taker | null = null
  private readonly routes = new Map<string, readonly Route[]>()
  private lastTopic = ''
  private lastRoutes: readonly Route[] = NO_ROUTES

  add(taker: Taker): void {
    this.takers.push(taker)
    this.changed()
  }

  remove(taker: Taker): void {
    const at = this.takers.indexOf(taker)
    if (at >= 0) this.takers.splice(at, 1)
    if (this.fallback === taker) this.fallback = null
    this.changed()
  }

  /** Gives a message to all who want it. @returns whether there was one */
  deliver(source: PublishReader, topic: string, incoming: Incoming): boolean {
    const identifiers = source.properties.subscriptionIdentifiers
    const routes =
      identifiers === undefined ? this.routesOf(topic) : this.identified(topic, identifiers)
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
    const routes: Route[] = []
    for (const taker of this.takers) {
      const template = matching(taker, topic)
      if (template !== null) routes.push({ taker, template })
    }
    return routes
  }

  private identified(topic: string, identifiers: readonly number[]): readonly Route[] {
    const routes: Route[] = []
    for (const taker of this.takers) {
      if (!taker.wanted.some(({ identifier }) => identifiers.includes(identifier))) continue
      routes.push({ taker, template: matching(taker, topic) })
    }
    return routes.length > 0 ? routes : this.match(topic)
  }

  private changed(): void {
    this.routes.clear()
    this.lastTopic = ''
    this.lastRoutes = NO_ROUTES
  }
}

/** The first of a subscription's filters that matches, null when none does. */
export function matching(taker: Taker, topic: string): TopicTemplate | null {
  for (const template of taker.templates) {
    const { filter } = template
    const inner = filter.startsWith('$share/') ? parseSharedFilter(filter)?.filter : filter
    if (inner !== undefined && topicMatches(inner, topic)) return template
  }
  return null
}

/** Whether a topic can match both filters; when in doubt it says yes. */
export function filtersOverlap(first: string, second: string): boolean {
  const a = (parseSharedFilter(first)?.filter ?? first).split('/')
  const b = (parseSharedFilter(second)?.filter ?? second).split('/')
  for (let i = 0; ; i++) {
    const x = a[i]
    const y = b[i]
    if (x === '#' || y === '#') return true
    // "a/#" matches "a" too.
    if (x === undefined) return y === undefined || b[i] === '#'
    if (y === undefined) return false
    if (x !== y && x !== '+' && y !== '+') return false
  }
}
