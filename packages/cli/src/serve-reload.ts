// SIGHUP at `godwit serve`: certificates, passwords, ACL and the files of the log, and of the
// configuration file who may come in.

import { isDeepStrictEqual } from 'node:util'
import type { BrokerServer, ListenOptions } from '@godwit/broker'
import { tellCertificates } from './certificate-times.ts'
import type { LoadedConfig } from './config.ts'
import type { EarlySignals } from './early-signals.ts'
import { type AccessSet, nameOf } from './serve-access.ts'
import type { ReadyConfig } from './serve-flags.ts'

interface Log {
  info(text: string): void
  warn(text: string): void
  error(text: string): void
  error(fields: object, text: string): void
}

/** What is read again. */
export interface Reloaded {
  readonly broker: Pick<BrokerServer, 'permissionsChanged' | 'reloadCertificates'>
  readonly access: AccessSet
  readonly config: ReadyConfig
  /** Null: there is no configuration file. @throws CommandFailure */
  readonly read: (() => Promise<{ config: ReadyConfig; notes: LoadedConfig['notes'] }>) | null
  readonly reopenLog: (() => void) | null
  readonly log: Log
}

/** What makes a listener the same one. */
const PLACE = ['name', 'host', 'port', 'unix'] as const satisfies readonly (keyof ListenOptions)[]
/** What of the configuration needs no restart. */
const RELOADED: readonly (keyof ReadyConfig)[] = [
  'access',
  'ownAccess',
  'clientIdPrefix',
  'payloadBytesMax',
]

export function reloadOnHangup(signals: EarlySignals, reloaded: Reloaded): void {
  let { config } = reloaded
  // One after the other, however quickly they come.
  let last = Promise.resolve()
  signals.answer('SIGHUP', () => {
    last = last.then(async () => {
      config = await reload(reloaded, config)
    })
  })
}

/**
 * @param config what holds until now
 * @returns what holds from now on
 */
export async function reload(reloaded: Reloaded, config: ReadyConfig): Promise<ReadyConfig> {
  reopenLog(reloaded)
  const next = await readConfig(reloaded, config)
  readFiles(reloaded, next)
  return next
}

function reopenLog({ reopenLog: reopen, log }: Reloaded): void {
  try {
    reopen?.()
  } catch (error) {
    log.error(`the log cannot be opened again: ${textOf(error)}; it goes on where it was`)
  }
}

async function readConfig(
  { read, access, broker, log }: Reloaded,
  config: ReadyConfig,
): Promise<ReadyConfig> {
  if (read === null) return config
  try {
    const { config: next } = await read()
    const isSame = RELOADED.every(name => isDeepStrictEqual(next[name], config[name]))
    if (!isSame) {
      const kept = goneListeners(config, next)
      access.replace(next, kept)
      broker.permissionsChanged()
      log.info('the configuration was read again: who may come in and do what is as it says now')
      if (kept.length > 0) {
        const names = kept.join(', ')
        log.warn(`${names}: it listens there no more after a restart; until then who may come in \
there stays as it was`)
      }
    }
    tellRest(config, next, log)
    const { asks: needs, askedFirst: asked } = access
    const missing = [
      ...(needs.what && !asked.what ? ['who may do what (an ACL file)'] : []),
      ...(needs.size && !asked.size ? ['the size of payloads'] : []),
    ]
    if (missing.length > 0) {
      log.error(`${missing.join(' and ')}: nobody asks for it before a restart, since there was \
none at the start`)
    }
    const { access: everywhere, ownAccess, clientIdPrefix, payloadBytesMax } = next
    return { ...config, access: everywhere, ownAccess, clientIdPrefix, payloadBytesMax }
  } catch (error) {
    log.error(`${textOf(error)}\nthe configuration stays as it was read before`)
    return config
  }
}

/**
 * Those that run and are not in the next configuration, or elsewhere there. What that says for all
 * is not said of them: it may let in everybody, for it is at other addresses.
 */
function goneListeners(config: ReadyConfig, next: ReadyConfig): string[] {
  const isSame = (one: ListenOptions, other: ListenOptions): boolean => {
    return PLACE.every(name => isDeepStrictEqual(one[name], other[name]))
  }
  return config.listeners.flatMap(listener => {
    const isThere = next.listeners.some(other => isSame(listener, other))
    return isThere ? [] : nameOf(listener)
  })
}

function tellRest(config: ReadyConfig, next: ReadyConfig, log: Log): void {
  const names = Object.keys(next) as (keyof ReadyConfig)[]
  const changed = names.filter(name => {
    return !RELOADED.includes(name) && !isDeepStrictEqual(next[name], config[name])
  })
  if (changed.length === 0) return
  log.warn(`the configuration has changed in ${changed.join(', ')}: that takes a restart`)
}

function readFiles({ broker, access, log }: Reloaded, { listeners }: ReadyConfig): void {
  if (access.reload(log)) broker.permissionsChanged()
  if (!listeners.some(({ tls }) => tls !== undefined)) {
    if (access.hasFiles) return
    log.info('SIGHUP: there are neither certificates nor passwords nor an ACL to read again')
    return
  }
  try {
    broker.reloadCertificates()
    log.info('certificates were read again')
    tellCertificates(listeners, log)
  } catch (error) {
    log.error({ err: error }, 'certificates could not be read again; the old ones stay')
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
