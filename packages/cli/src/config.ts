// What `godwit serve` runs with: listeners, options of the broker, and what only the command knows.

import {
  type BrokerOptions,
  checkOptions,
  DEFAULT_LIMITS,
  type ListenOptions,
  type MetricsOptions,
  OptionError,
} from '@godwit/broker'
import { type AccessChoice, type AccessFields, accessOf, isOwnAccess } from './access-choice.ts'
import { storeOf } from './data-place.ts'
import { CommandFailure, USAGE } from './failure.ts'
import type { LogFormat, LogLevel } from './log-levels.ts'

/** How much of the log there is, how it looks, and where it goes. */
export interface LogChoice {
  readonly level: LogLevel
  readonly format: LogFormat
  /** `stdout`, `stderr`, paths of files; empty: nowhere. */
  readonly to: readonly string[]
  /** Who connects and goes is told at `info`, and not only at `debug`. */
  readonly connections: boolean
}

/** All that the command `serve` can be told. */
export interface ServeConfig {
  /** Null: the file says nothing about them. */
  readonly listeners: readonly ListenOptions[] | null
  /** Where it listens when neither the file nor the flags say it. */
  readonly localListeners: readonly ListenOptions[]
  readonly broker: BrokerOptions
  readonly log: LogChoice
  readonly drainSeconds: number
  /** Null: nobody can ask for metrics. */
  readonly metrics: MetricsOptions | null
  /** Who may come in, and do what. */
  readonly access: AccessChoice
  /** The same where a listener has its own, by the listener's name. */
  readonly ownAccess: ReadonlyMap<string, AccessFields>
  /** Null: client ids may begin with whatever. */
  readonly clientIdPrefix: string | null
  /** Null: the limit of packets is the only one. */
  readonly payloadBytesMax: number | null
  /** Null: none is written. */
  readonly pidFile: string | null
  /** Null: it stays who has started it. */
  readonly user: string | null
}

/** Tells where in a file an option stands, for errors that come later. */
export interface ConfigSource {
  /** `file:line:column`, or null when the option is not in the file. */
  locate(path: readonly (string | number)[]): string | null
}

export interface LoadedConfig {
  readonly config: ServeConfig
  readonly source: ConfigSource
  /** What is otherwise than the file's owner may think; each a line of the log. */
  readonly notes: readonly string[]
  /** Those of a mosquitto.conf; null: it is YAML, or there is none. */
  readonly files: readonly string[] | null
}

/** What is in a file that has nothing wrong with it. */
export interface ConfigFields extends AccessFields {
  readonly listeners?: readonly object[] | undefined
  readonly data?: string | undefined
  readonly drainSeconds?: number | undefined
  readonly log?:
    | {
        readonly level?: LogLevel | undefined
        readonly format?: LogFormat | undefined
        readonly to?: string | readonly string[] | undefined
        readonly connections?: boolean | undefined
      }
    | undefined
  readonly metrics?: object | undefined
  readonly clientIdPrefix?: string | undefined
  readonly payloadBytesMax?: number | undefined
  readonly pidFile?: string | undefined
  readonly user?: string | undefined
  /** The rest is the broker's. */
  readonly [option: string]: unknown
}

const DEFAULT_DRAIN_SECONDS = 5
const DEFAULT_DATA = './data'
/** What listeners without a name are called. */
const USUAL_NAMES: readonly string[] = ['tcp', 'tls', 'ws', 'wss', 'unix']
const NOWHERE = 'none'

/** What holds without a file. */
export const EMPTY_CONFIG: LoadedConfig = {
  config: toConfig({}),
  source: { locate: () => null },
  notes: [],
  files: null,
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

/** @param file what a file says, or nothing @throws CommandFailure for names of listeners */
export function toConfig(file: ConfigFields): ServeConfig {
  const { listeners, log, drainSeconds, data = DEFAULT_DATA, ...others } = file
  const { clientIdPrefix, payloadBytesMax, pidFile, user, ...more } = others
  const { passwordFile, allowAnonymous, aclFile, certificateUserNames, ...rest } = more
  const { metrics = null, ...broker } = rest
  const split = listeners === undefined ? null : splitListeners(listeners)
  return {
    // Fields that are undefined are as absent to the broker as those that are not there.
    listeners: split === null ? null : split.listeners,
    localListeners: [{}],
    broker: { ...(broker as BrokerOptions), store: storeOf(data) },
    log: logOf(log),
    drainSeconds: drainSeconds ?? DEFAULT_DRAIN_SECONDS,
    metrics: metrics as MetricsOptions | null,
    access: accessOf({ passwordFile, allowAnonymous, aclFile, certificateUserNames }),
    ownAccess: split === null ? new Map() : split.ownAccess,
    clientIdPrefix: clientIdPrefix ?? null,
    payloadBytesMax: payloadBytesMax ?? null,
    pidFile: pidFile ?? null,
    user: user ?? null,
  }
}

function logOf(log: ConfigFields['log']): LogChoice {
  const to = log?.to ?? 'stdout'
  const all = typeof to === 'string' ? [to] : to
  return {
    level: log?.level ?? 'info',
    format: log?.format ?? 'auto',
    to: all.filter(one => one !== NOWHERE),
    connections: log?.connections ?? false,
  }
}

type ListenerOfFile = ListenOptions & AccessFields

/** By the name of its listener it is found who may come in where. */
function splitListeners(given: readonly object[]): {
  readonly listeners: readonly ListenOptions[]
  readonly ownAccess: ReadonlyMap<string, AccessFields>
} {
  const ownAccess = new Map<string, AccessFields>()
  const listeners = (given as readonly ListenerOfFile[]).map((listener, index) => {
    const { passwordFile, allowAnonymous, aclFile, certificateUserNames, ...options } = listener
    const own = { passwordFile, allowAnonymous, aclFile, certificateUserNames }
    if (!isOwnAccess(own)) return options
    const name = options.name ?? `listener ${index + 1}`
    const isOther = given.some((other, at) => {
      return at !== index && 'name' in other && other.name === name
    })
    if (isOther || USUAL_NAMES.includes(name)) {
      const text = `listeners: ${name} may be the name of another one too: with a passwordFile, \
allowAnonymous, aclFile or certificateUserNames of its own a listener needs a name of its own`
      throw new CommandFailure(text, USAGE)
    }
    ownAccess.set(name, own)
    return { ...options, name }
  })
  return { listeners, ownAccess }
}
