// Who may publish and read what, by an ACL file in Mosquitto's format: lines of `user`, `topic` and
// `pattern`. It is read as a whole, again on `reload`; who a client is was decided before.

import { readFileSync } from 'node:fs'
import { isTopicFilter, topicMatches } from '@godwit/packet'

/** Who asks: what the hooks are given has both. */
export interface AclClient {
  readonly clientId: string
  /** Null: it gave none. So it is, as with Mosquitto, with an empty one. */
  readonly username: string | null
}

/** Lines of an ACL file that say nothing; each with its file and number. */
export class AclFileError extends Error {
  override readonly name = 'AclFileError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

const READ = 1
const WRITE = 2
const NOTHING = 0
/** A decision's second bit lies so many places above its first. */
const ALLOWED_SHIFT = 2
/** Of so many topics per client the decisions are remembered. */
const DECIDED_MAX = 64
/** A longer topic is decided each time: publishers choose what is kept for them. */
const DECIDED_LENGTH_MAX = 256
const Accesses: ReadonlyMap<string, number> = new Map([
  ['read', READ],
  ['write', WRITE],
  ['readwrite', READ | WRITE],
  ['deny', NOTHING],
])

interface Rule {
  readonly access: number
  readonly filter: string
}

/** What one client may do: the rules of its user, then the patterns with its names put in. */
interface Rules {
  readonly own: readonly Rule[]
  readonly patterns: readonly Rule[]
  /** By topic, for each way of access a bit that it was decided and one that it is allowed. */
  readonly decided: Map<string, number>
}

interface Contents {
  /** By user name; null is who gave none. A rule that denies stands before those that allow. */
  readonly users: ReadonlyMap<string | null, readonly Rule[]>
  readonly patterns: readonly Rule[]
}

export class AclFile {
  private readonly path: string
  private contents: Contents = { users: new Map(), patterns: [] }
  /** Kept as long as the client is there. */
  private known = new WeakMap<AclClient, Rules>()

  /** @throws AclFileError, or an Error of the file system */
  constructor(path: string) {
    this.path = path
    this.reload()
  }

  /** How many lines allow or deny something. */
  get ruleCount(): number {
    let count = this.contents.patterns.length
    for (const rules of this.contents.users.values()) count += rules.length
    return count
  }

  /** Whether it matters which user name a client gives. */
  get hasUsers(): boolean {
    const { users, patterns } = this.contents
    if (patterns.some(({ filter }) => filter.includes('%u'))) return true
    return [...users.keys()].some(name => name !== null)
  }

  /**
   * Reads the file again; when that fails, what was read before holds. Tell the broker by
   * `permissionsChanged()`.
   * @throws AclFileError, or an Error of the file system
   */
  reload(): void {
    this.contents = parseAcl(readFileSync(this.path, 'utf8'), this.path)
    this.known = new WeakMap()
  }

  /** An authorizePublish hook. What no line allows is not allowed. */
  mayPublish(client: AclClient, topic: string): boolean {
    return this.may(client, topic, WRITE)
  }

  /** An authorizeReceive hook. */
  mayReceive(client: AclClient, topic: string): boolean {
    return this.may(client, topic, READ)
  }

  private may(client: AclClient, topic: string, access: number): boolean {
    const { own, patterns, decided } = this.rulesOf(client)
    const known = decided.get(topic) ?? 0
    if ((known & access) !== 0) return (known & (access << ALLOWED_SHIFT)) !== 0
    const isAllowed = decide(own, topic, access) ?? decide(patterns, topic, access) ?? false
    if (topic.length > DECIDED_LENGTH_MAX) return isAllowed
    if (decided.size === DECIDED_MAX) decided.clear()
    decided.set(topic, known | access | (isAllowed ? access << ALLOWED_SHIFT : 0))
    return isAllowed
  }

  private rulesOf(client: AclClient): Rules {
    const known = this.known.get(client)
    if (known !== undefined) return known
    const { users, patterns } = this.contents
    const { clientId } = client
    const username = client.username === '' ? null : client.username
    const own = users.get(username) ?? []
    const rules = { own, patterns: named(patterns, { clientId, username }), decided: new Map() }
    this.known.set(client, rules)
    return rules
  }
}

/** The first rule about it decides; null: none is. */
function decide(rules: readonly Rule[], topic: string, access: number): boolean | null {
  for (const rule of rules) {
    if (rule.access !== NOTHING && (rule.access & access) === 0) continue
    if (topicMatches(rule.filter, topic)) return rule.access !== NOTHING
  }
  return null
}

/** A name with a wildcard in it would stand for other clients' topics: nothing is for its owner. */
function named(patterns: readonly Rule[], { clientId, username }: AclClient): readonly Rule[] {
  if (/[+#]/.test(clientId) || /[+#]/.test(username ?? '')) return []
  return patterns
    .filter(({ filter }) => username !== null || !filter.includes('%u'))
    .map(({ access, filter }) => ({
      access,
      filter: filter.replaceAll(/%[cu]/g, name => (name === '%c' ? clientId : (username ?? ''))),
    }))
}

/** @throws AclFileError with all that is wrong: a line that is left out could be one that denies */
function parseAcl(text: string, path: string): Contents {
  const users = new Map<string | null, Rule[]>()
  const patterns: Rule[] = []
  const problems: string[] = []
  let user: string | null = null
  for (const [index, line] of text.split('\n').entries()) {
    const [word = '', rest = ''] = split(line.trim())
    if (word === '' || word.startsWith('#')) continue
    try {
      if (word === 'user') {
        if (rest === '') throw new Error('expected a name after user')
        user = rest
      } else if (word === 'topic') {
        const rules = users.get(user) ?? []
        users.set(user, rules)
        rules.push(ruleOf(rest))
      } else if (word === 'pattern') {
        patterns.push(ruleOf(rest))
      } else {
        throw new Error(`expected user, topic or pattern, got ${JSON.stringify(word)}`)
      }
    } catch (error) {
      problems.push(`${path}:${index + 1}: ${(error as Error).message}`)
    }
  }
  if (problems.length > 0) throw new AclFileError(problems)
  for (const rules of [patterns, ...users.values()]) rules.sort(denialsFirst)
  return { users, patterns }
}

/** `[read|write|readwrite|deny] filter`: a filter with a space needs the word before it. */
function ruleOf(text: string): Rule {
  const [first, rest] = split(text)
  const access = Accesses.get(first)
  if (rest !== '' && access === undefined) {
    const words = [...Accesses.keys()].join(', ')
    throw new Error(`expected one of ${words} before ${JSON.stringify(rest)}, got ${first}`)
  }
  const filter = rest === '' ? first : rest
  if (filter === '') throw new Error('expected a topic')
  if (!isTopicFilter(filter)) throw new Error(`not a topic filter: ${JSON.stringify(filter)}`)
  return { access: rest === '' ? READ | WRITE : (access ?? NOTHING), filter }
}

function denialsFirst(a: Rule, b: Rule): number {
  return Number(b.access === NOTHING) - Number(a.access === NOTHING)
}

/** The first word, and the rest, which may have a CR or a line separator of Unicode in it. */
function split(text: string): [string, string] {
  const [, word = '', rest = ''] = /^(\S*)\s*(.*)$/s.exec(text) ?? []
  return [word, rest]
}
