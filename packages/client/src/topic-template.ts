// Named wildcards: `site/+site/meter/#rest` subscribes to `site/+/meter/#` and names what matched.
// It does not match topics: that is the codec's `topicMatches`.

/** The parameters of a filter with named wildcards: `site/+site` gives `{ site: string }`. */
export type TopicParams<F extends string> = string extends F
  ? Readonly<Record<string, string>>
  : { readonly [Name in ParamNames<F>]: string }

type ParamNames<F extends string> = F extends `${infer Level}/${infer Rest}`
  ? LevelName<Level> | ParamNames<Rest>
  : LevelName<F>

type LevelName<L extends string> = L extends `+${infer Name}`
  ? Name extends ''
    ? never
    : Name
  : L extends `#${infer Name}`
    ? Name extends ''
      ? never
      : Name
    : never

/** A filter as the server sees it, and where its names are. */
export interface TopicTemplate {
  readonly filter: string
  /** Null when no wildcard has a name. */
  readonly names: readonly (readonly [name: string, level: number, tail: boolean])[] | null
}

/** Takes the names out of a filter; a filter without names stays as it is. */
export function parseTopicTemplate(template: string): TopicTemplate {
  if (!/(^|\/)[+#][^/]/.test(template)) return { filter: template, names: null }
  const names: [string, number, boolean][] = []
  const levels = template.split('/')
  levels.forEach((level, index) => {
    const first = level[0]
    if (level.length < 2 || (first !== '+' && first !== '#')) return
    names.push([level.slice(1), index, first === '#'])
    levels[index] = first
  })
  return { filter: levels.join('/'), names }
}

/** What the named wildcards stand for in a topic that matches. */
export function topicParams(template: TopicTemplate, topic: string): Record<string, string> {
  const params: Record<string, string> = {}
  if (template.names === null) return params
  const levels = topic.split('/')
  // A shared filter has two levels that no topic has.
  const shift = template.filter.startsWith('$share/') ? 2 : 0
  for (const [name, level, tail] of template.names) {
    const at = level - shift
    const value = tail ? levels.slice(at).join('/') : (levels[at] ?? '')
    // Not by assignment: a name could be `__proto__`.
    Object.defineProperty(params, name, { value, enumerable: true })
  }
  return params
}
