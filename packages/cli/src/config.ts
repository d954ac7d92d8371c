// The configuration of `godwit serve`, from wherever it is. Files are read by config-file.ts, which
// is loaded when there is one.

import {
  type BrokerOptions,
  checkOptions,
  DEFAULT_LIMITS,
  type ListenOptions,
  type MetricsOptions,
  OptionError,
} from '@godwit/broker'
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
  /** Null: nobody can ask for metrics. */
  readonly metrics: MetricsOptions | null
  /** Null: everybody may come in. */
  readonly passwords: PasswordChoice | null
  /** Null: everybody may publish and read everything. */
  readonly aclFile: string | null
  /** Whether the common name of a client's certificate is its user name. */
  readonly certificateUserNames: boolean
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

/** What is in a file that has nothing wrong with it. */
export interface ConfigFields {
  readonly listeners?: readonly object[] | undefined
  readonly data?: string | undefined
  readonly drainSeconds?: number | undefined
  readonly log?:
    | { readonly level?: LogLevel | undefined; readonly format?: LogFormat | undefined }
    | undefined
  readonly metrics?: object | undefined
  readonly passwordFile?: string | undefined
  readonly allowAnonymous?: boolean | undefined
  readonly aclFile?: string | undefined
  readonly certificateUserNames?: boolean | undefined
  /** The rest is the broker's. */
  readonly [option: string]: unknown
}

const DEFAULT_DRAIN_SECONDS = 5
const DEFAULT_DATA = './data'

/** What holds without a file. */
export const EMPTY_CONFIG: LoadedConfig = {
  config: toConfig({}),
  source: { locate: () => null },
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

/** @param file what a file says, or nothing */
export function toConfig(file: ConfigFields): ServeConfig {
  const { listeners = null, log, drainSeconds, data = DEFAULT_DATA, ...others } = file
  const { passwordFile, allowAnonymous = false, aclFile = null, ...rest } = others
  const { metrics = null, certificateUserNames = false, ...broker } = rest
  return {
    // Fields that are undefined are as absent to the broker as those that are not there.
    listeners: listeners as readonly ListenOptions[] | null,
    broker: { ...(broker as BrokerOptions), store: storeOf(data) },
    log: { level: log?.level ?? 'info', format: log?.format ?? 'auto' },
    drainSeconds: drainSeconds ?? DEFAULT_DRAIN_SECONDS,
    metrics: metrics as MetricsOptions | null,
    passwords: passwordFile === undefined ? null : { file: passwordFile, allowAnonymous },
    aclFile,
    certificateUserNames,
  }
}
