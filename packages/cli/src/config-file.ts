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
import * as z from 'zod'
import { storeOf } from './data-place.ts'
import { CommandFailure, USAGE } from './failure.ts'
import { LOG_LEVELS, type LogFormat, type LogLevel } from './log-levels.ts'
import type { PasswordChoice } from './serve-passwords.ts'

/** All that the command `serve` can be told. */
export interface ServeConfig {
  readonly listeners: readonly ListenOptions[]
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

const Certificates = z.strictObject({
  certFile: z.string(),
  keyFile: z.string(),
  passphrase: z.string().optional(),
  caFile: z.string().optional(),
  crlFile: z.string().optional(),
  clientCertificate: z.enum(['none', 'optional', 'required']).optional(),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).optional(),
  ciphers: z.string().optional(),
})

const WebSocketChoice = z.strictObject({
  path: z.string().startsWith('/').optional(),
  origins: z.array(z.string()).optional(),
})

const UnixChoice = z.strictObject({
  path: z.string(),
  /** YAML 1.2 reads 0660 as a decimal number: octal is 0o660. */
  mode: z.number().int().optional(),
})

const Listener = z.strictObject({
  name: z.string().optional(),
  host: z.string().optional(),
  port: z.number().int().min(0).max(65_535).optional(),
  tls: Certificates.optional(),
  ws: z.union([z.boolean(), WebSocketChoice]).optional(),
  unix: z.union([z.string(), UnixChoice]).optional(),
  proxyProtocol: z
    .union([z.boolean(), z.strictObject({ trustCertificate: z.boolean().optional() })])
    .optional(),
  backlog: z.number().int().min(1).optional(),
  connectionsMax: z.number().int().min(1).optional(),
})

/** Each limit has the type of its default; its range is checked by the broker. */
const Limits = z.strictObject(
  Object.fromEntries(
    Object.entries(DEFAULT_LIMITS).map(([name, value]) => [
      name,
      typeof value === 'number'
        ? z.number().int().optional()
        : typeof value === 'boolean'
          ? z.boolean().optional()
          : z.enum(['drop-oldest', 'refuse']).optional(),
    ]),
  ),
)

const Config = z.strictObject({
  listeners: z.array(Listener).optional(),
  data: z.string().min(1).optional(),
  statsIntervalSeconds: z.number().int().min(0).optional(),
  nodeName: z.string().min(1).optional(),
  responseTopicPrefix: z.string().min(1).optional(),
  dump: z.boolean().optional(),
  drainSeconds: z.number().min(0).optional(),
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).optional(),
      format: z.enum(['auto', 'pretty', 'json']).optional(),
    })
    .optional(),
  scram: z
    .strictObject({
      users: z.record(z.string(), z.string()),
      iterations: z.number().int().min(4096).optional(),
    })
    .optional(),
  limits: Limits.optional(),
  passwordFile: z.string().min(1).optional(),
  allowAnonymous: z.boolean().optional(),
})

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
  const parsed = Config.safeParse(raw)
  if (parsed.success) return { config: toConfig(parsed.data), source }
  const errors = parsed.error.issues.flatMap(issue => describe(issue, source, path))
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

function toConfig(file: z.infer<typeof Config>): ServeConfig {
  const { listeners = [], log, drainSeconds, data = DEFAULT_DATA, ...others } = file
  const { passwordFile, allowAnonymous = false, ...broker } = others
  return {
    // Fields that are undefined are as absent to the broker as those that are not there.
    listeners: listeners as readonly ListenOptions[],
    broker: { ...(broker as BrokerOptions), store: storeOf(data) },
    log: { level: log?.level ?? 'info', format: log?.format ?? 'auto' },
    drainSeconds: drainSeconds ?? DEFAULT_DRAIN_SECONDS,
    passwords: passwordFile === undefined ? null : { file: passwordFile, allowAnonymous },
  }
}

function describe(issue: z.core.$ZodIssue, source: ConfigSource, path: string): string[] {
  const at = issue.path.map(step => (typeof step === 'symbol' ? String(step) : step))
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => {
      const where = source.locate([...at, key]) ?? path
      return `${where}: ${fieldName([...at, key])}: there is no such field`
    })
  }
  const where = source.locate(at) ?? source.locate(at.slice(0, -1)) ?? path
  return [`${where}: ${fieldName(at)}: ${messageOf(issue)}`]
}

function messageOf(issue: z.core.$ZodIssue): string {
  const [first = ''] = issue.message
  return first.toLowerCase() + issue.message.slice(1)
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
