// The configuration file of `godwit serve`: YAML, and whatever is wrong with it is named with its
// line and its field.

import { readFileSync } from 'node:fs'
import {
  type BrokerOptions,
  checkOptions,
  DEFAULT_LIMITS,
  type ListenOptions,
  OptionError,
} from '@godwit/broker'
import { type Document, isMap, isNode, LineCounter, parseDocument } from 'yaml'
import { type ConfigFields, readFields } from './config-schema.ts'
import { storeOf } from './data-place.ts'
import { CommandFailure, USAGE } from './failure.ts'
import type { LogFormat, LogLevel } from './log-levels.ts'
import type { PasswordChoice } from './serve-passwords.ts'

/** All that the command `serve` can be told. */
export interface ServeConfig {
  /** Null: the file says nothing about them. */
  readonly listeners: readonly ListenOptions[] | null
  readonly broker: BrokerOptions
  readonly log: { readonly level: LogLevel; readonly format: LogFormat }
  readonly drainSeconds: number
  /** Null: everybody may come in. */
  readonly passwords: PasswordChoice | null
}

/** Tells where in a file an option stands, for errors that come later. */
export interface ConfigSource {
  /** `file:line:column`, or null when the option is not in the file. */
  locate(path: readonly (string | number)[]): string | null
}

export interface LoadedConfig {
  readonly config: ServeConfig
  readonly source: ConfigSource
}

const DEFAULT_DRAIN_SECONDS = 5
const DEFAULT_DATA = './data'

/** What holds without a file. */
export const EMPTY_CONFIG: LoadedConfig = {
  config: toConfig({}),
  source: { locate: () => null },
}

/** @throws CommandFailure that names every wrong field with its line */
export function loadConfig(path: string): LoadedConfig {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new CommandFailure(`the configuration cannot be read: ${(error as Error).message}`, USAGE)
  }
  return parseConfig(text, path)
}

/** @throws CommandFailure */
export function parseConfig(text: string, path: string): LoadedConfig {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    const errors = document.errors.map(({ pos, message }) => {
      return `${place(path, lines, pos[0])}: ${message}`
    })
    throw new CommandFailure(errors.join('\n'), USAGE)
  }
  const source: ConfigSource = { locate: field => locate(document, lines, path, field) }
  const raw: unknown = document.toJS() ?? {}
  const { fields, problems } = readFields(raw)
  if (fields !== null) return { config: toConfig(fields), source }
  const errors = problems.map(({ path: at, text: what }) => {
    const where = source.locate(at) ?? source.locate(at.slice(0, -1)) ?? path
    return `${where}: ${fieldName(at)}: ${what}`
  })
  errors.push(...limitErrors((raw as { limits?: unknown } | null)?.limits, source))
  throw new CommandFailure(errors.join('\n'), USAGE)
}

/** Every limit of the right kind that is out of its range, with its line when it is in the file. */
export function limitErrors(limits: unknown, source: ConfigSource): string[] {
  if (typeof limits !== 'object' || limits === null) return []
  return Object.entries(limits).flatMap(([name, value]) => {
    const usual: unknown = Object.entries(DEFAULT_LIMITS).find(([known]) => known === name)?.[1]
    if (typeof usual !== 'number' || !Number.isInteger(value)) return []
    try {
      checkOptions({ limits: { [name]: value } })
      return []
    } catch (error) {
      return [(located(error, source) as Error).message]
    }
  })
}

/**
 * An error of the broker about an option, with the line where the option stands.
 * @returns the error itself when it is about something else
 */
export function located(error: unknown, source: ConfigSource): unknown {
  if (!(error instanceof OptionError)) return error
  const where = source.locate(error.option.split('.'))
  return new CommandFailure(where === null ? error.message : `${where}: ${error.message}`, USAGE)
}

function toConfig(file: ConfigFields): ServeConfig {
  const { listeners = null, log, drainSeconds, data = DEFAULT_DATA, ...others } = file
  const { passwordFile, allowAnonymous = false, ...broker } = others
  return {
    // Fields that are undefined are as absent to the broker as those that are not there.
    listeners: listeners as readonly ListenOptions[] | null,
    broker: { ...(broker as BrokerOptions), store: storeOf(data) },
    log: { level: log?.level ?? 'info', format: log?.format ?? 'auto' },
    drainSeconds: drainSeconds ?? DEFAULT_DRAIN_SECONDS,
    passwords: passwordFile === undefined ? null : { file: passwordFile, allowAnonymous },
  }
}

function fieldName(path: readonly (string | number)[]): string {
  const name = path.map(step => (typeof step === 'number' ? `[${step + 1}]` : `.${step}`)).join('')
  return name.replace(/^\./, '') || 'the file'
}

/** Where the key of a field stands, or an element of a list. */
function locate(
  document: Document,
  lines: LineCounter,
  file: string,
  path: readonly (string | number)[],
): string | null {
  const last = path[path.length - 1]
  if (last === undefined) return place(file, lines, 0)
  const parent: unknown =
    path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => String(key) === String(last))
    const key: unknown = pair?.key
    return isNode(key) && key.range ? place(file, lines, key.range[0]) : null
  }
  const node: unknown = document.getIn(path, true)
  return isNode(node) && node.range ? place(file, lines, node.range[0]) : null
}

function place(file: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset)
  return `${file}:${line}:${col}`
}
