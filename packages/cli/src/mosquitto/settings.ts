// The statements of a mosquitto.conf sorted by what they are for: the broker, or a listener. What
// is wrong with one, or not there here, is said with its place.

import { nearest } from '../nearest.ts'
import { type MosquittoOption, MosquittoOptions, optionOf } from './options.ts'
import type { Place, Problem, ReadFiles, Statement } from './statements.ts'
import { showPlace } from './statements.ts'
import { firstWord, type Value } from './values.ts'

/** A value and where it stands. */
export interface Given {
  readonly value: Value
  readonly place: Place
}

const NOTHING: ReadonlyMap<string, Value> = new Map()

/** By name; several where an option may stand several times. */
export class Section {
  private readonly given = new Map<string, Given[]>()

  add(name: string, given: Given): void {
    const all = this.given.get(name)
    if (all === undefined) this.given.set(name, [given])
    else all.push(given)
  }

  all(name: string): readonly Given[] {
    return this.given.get(name) ?? []
  }

  names(): readonly string[] {
    return [...this.given.keys()]
  }

  /** The last one, which counts; null: it is not there. */
  place(name: string): Place | null {
    return this.all(name).at(-1)?.place ?? null
  }

  /** The first that is there of several names, and says something else than what is usual. */
  first(
    names: readonly string[],
    usual: ReadonlyMap<string, Value> = NOTHING,
  ): { readonly name: string; readonly place: Place } | null {
    for (const name of names) {
      const given = this.all(name).at(-1)
      if (given !== undefined && given.value !== usual.get(name)) {
        return { name, place: given.place }
      }
    }
    return null
  }

  text(name: string): string | null {
    const value = this.all(name).at(-1)?.value
    return typeof value === 'string' ? value : null
  }

  number(name: string): number | null {
    const value = this.all(name).at(-1)?.value
    return typeof value === 'number' ? value : null
  }

  boolean(name: string): boolean | null {
    const value = this.all(name).at(-1)?.value
    return typeof value === 'boolean' ? value : null
  }
}

/** A `listener` and what follows it; or the default one, which nothing begins. */
export interface ListenerSection {
  /** Null: the default listener. */
  readonly place: Place | null
  readonly port: number
  /** The host, or the path of a Unix socket. */
  readonly where: string | null
  readonly options: Section
}

export interface Settings {
  readonly general: Section
  readonly access: Section
  readonly defaultListener: ListenerSection
  readonly listeners: readonly ListenerSection[]
  readonly perListener: boolean
  /** What keeps the broker from starting. */
  readonly problems: Problem[]
  /** What is otherwise than in Mosquitto, and does no harm. */
  readonly notes: Problem[]
}

const DEFAULT_PORT = 1883
/** `listener` and these say where the default listener is. */
export const DEFAULT_PLACES: readonly string[] = ['port', 'bind_address']
/** What may stand several times, each time with another value. */
const LISTS: readonly string[] = ['log_dest', 'log_type', 'websockets_origin']

/** Where the next options of a file belong to. */
interface Cursor {
  listener: ListenerSection | null
  hasBridge: boolean
  hasPlugin: boolean
}

export function collectSettings({ statements, problems }: ReadFiles): Settings {
  const collector = new Collector([...problems])
  for (const statement of statements) collector.add(statement)
  return collector.settings()
}

class Collector {
  private readonly problems: Problem[]
  private readonly notes: Problem[] = []
  private readonly general = new Section()
  private readonly access = new Section()
  private readonly listeners: ListenerSection[] = []
  private readonly cursors = new Map<number, Cursor>()
  private readonly defaultListener: ListenerSection = {
    place: null,
    port: DEFAULT_PORT,
    where: null,
    options: new Section(),
  }
  private perListener = false
  /** The first option of who may do what: per_listener_settings has to come before. */
  private firstAccess: Place | null = null

  constructor(problems: Problem[]) {
    this.problems = problems
  }

  settings(): Settings {
    const { general, access, defaultListener, listeners, perListener, problems, notes } = this
    return { general, access, defaultListener, listeners, perListener, problems, notes }
  }

  add(statement: Statement): void {
    const { name, place, fileIndex } = statement
    const option = optionOf(name)
    if (option === null) {
      this.fault(place, unknownText(statement))
      return
    }
    const cursor = this.cursors.get(fileIndex) ?? {
      listener: null,
      hasBridge: false,
      hasPlugin: false,
    }
    this.cursors.set(fileIndex, cursor)
    if (option.scope === 'bridge' || option.scope === 'plugin') {
      this.addForeign(statement, option, cursor)
      return
    }
    if (name === 'listener') {
      cursor.listener = this.listenerOf(statement)
      return
    }
    const value = this.valueOf(statement, option)
    if (value === null || !this.isHandled(statement, option, value)) return
    this.put(statement, option, value, cursor)
  }

  /** Once for each bridge and plugin: their own options say nothing more. */
  private addForeign({ name, place }: Statement, option: MosquittoOption, cursor: Cursor): void {
    const { scope, handling } = option
    const begins = scope === 'bridge' ? name === 'connection' : isPlugin(name)
    const isTold = scope === 'bridge' ? cursor.hasBridge : cursor.hasPlugin
    if (scope === 'bridge') cursor.hasBridge = true
    else cursor.hasPlugin = true
    if (isTold && !begins) return
    if (handling.kind === 'refused') this.fault(place, `${name} is not there: ${handling.why}`)
  }

  private valueOf({ name, value: text, place }: Statement, option: MosquittoOption): Value | null {
    const { reader } = option
    const takesAll = reader.isText || typeof reader.read('a b') === 'string'
    const { word, rest } = takesAll ? { word: text, rest: '' } : firstWord(text)
    const value = reader.read(word)
    if (value === null) {
      const came = text === '' ? 'nothing' : JSON.stringify(word)
      this.fault(place, `${name}: expected ${reader.expected}, got ${came}`)
    } else if (rest !== '') {
      this.notes.push({ place, text: `${name}: ${JSON.stringify(rest)} behind it is not read` })
    }
    return value
  }

  /** @returns false when there is nothing more to do */
  private isHandled({ name, place }: Statement, option: MosquittoOption, value: Value): boolean {
    const { handling } = option
    if (handling.kind === 'mapped') return true
    if (handling.unless.includes(value)) return false
    if (handling.kind === 'refused') this.fault(place, `${name} is not there: ${handling.why}`)
    else this.notes.push({ place, text: `${name} is for nothing here: ${handling.why}` })
    return false
  }

  private put(
    { name, place }: Statement,
    { scope, reader }: MosquittoOption,
    value: Value,
    cursor: Cursor,
  ): void {
    if (name === 'per_listener_settings') this.setPerListener(place, value === true)
    if (scope === 'access') this.firstAccess ??= place
    if (scope === 'access' && this.perListener && cursor.listener === null) {
      this.fault(place, `${name}: expected after a listener, with per_listener_settings`)
      return
    }
    const listener =
      cursor.listener === null || DEFAULT_PLACES.includes(name)
        ? this.defaultListener
        : cursor.listener
    const isOfListener = scope === 'listener' || (scope === 'access' && this.perListener)
    const general = scope === 'access' ? this.access : this.general
    const section = isOfListener ? listener.options : general
    const before = section.place(name)
    if (before !== null && reader.isText) {
      this.fault(place, `${name}: it stands at ${showPlace(before)} already`)
      return
    }
    if (before !== null && !LISTS.includes(name)) {
      this.notes.push({ place, text: `${name}: it counts instead of ${showPlace(before)}` })
    }
    section.add(name, { value, place })
  }

  private setPerListener(place: Place, isOn: boolean): void {
    if (isOn && this.firstAccess !== null) {
      const text = `per_listener_settings: expected before ${showPlace(this.firstAccess)}`
      this.fault(place, text)
    }
    this.perListener = isOn
  }

  /** `PORT [HOST]`, or `0 PATH`. */
  private listenerOf({ value, place }: Statement): ListenerSection {
    const { word, rest } = firstWord(value)
    const { word: where, rest: more } = firstWord(rest)
    const port = /^\d{1,5}$/.test(word) ? Number(word) : -1
    if (port < 0 || port > 65_535) {
      const came = word === '' ? 'nothing' : JSON.stringify(word)
      this.fault(place, `listener: expected a port from 0 to 65535, got ${came}`)
    }
    if (port === 0 && where === '') {
      this.fault(place, 'listener: expected the path of a Unix socket after 0, got nothing')
    }
    if (more !== '') {
      const text = `listener: expected a port and one address, got ${JSON.stringify(more)} too`
      this.fault(place, text)
    }
    const section = { place, port, where: where === '' ? null : where, options: new Section() }
    this.listeners.push(section)
    return section
  }

  private fault(place: Place, text: string): void {
    this.problems.push({ place, text })
  }
}

function isPlugin(name: string): boolean {
  return !/^(?:auth|plugin)_opt_|_deny_/.test(name)
}

function unknownText({ name }: Statement): string {
  if (name.startsWith('#')) return 'expected an option; a comment begins in the first column'
  const [word = '', tail] = name.split('\t', 2)
  if (tail !== undefined && optionOf(word) !== null) {
    return `expected a space after ${word}, got a tab`
  }
  const meant = nearest(name, [...MosquittoOptions.keys()])
  const hint = meant === null ? '' : `; was ${meant} meant?`
  return `Mosquitto has no option ${JSON.stringify(name)}${hint}`
}
