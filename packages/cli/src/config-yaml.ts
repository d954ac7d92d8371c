// The configuration of `godwit serve` as a godwit.yaml, whatever it came from: a mosquitto.conf,
// flags, another YAML.

import { DEFAULT_LIMITS } from '@godwit/broker'
import type { AccessChoice } from './access-choice.ts'
import { showConfig } from './config-file.ts'
import type { ReadyConfig } from './serve-flags.ts'

/** @returns YAML that makes the same broker when it is read; what is as usual is left out */
export function yamlOf(config: ReadyConfig): string {
  const { listeners, broker, log, metrics, access, ownAccess } = config
  const { store, limits = {}, hooks: _hooks, ...options } = broker
  const fields = {
    listeners: listeners.map(listener => ({
      ...listener,
      ...(listener.name === undefined ? {} : ownAccess.get(listener.name)),
    })),
    data: typeof store === 'object' ? store.directory : 'none',
    ...accessFields(access),
    ...given('clientIdPrefix', config.clientIdPrefix),
    ...given('payloadBytesMax', config.payloadBytesMax),
    ...options,
    ...given('limits', unusual(limits)),
    ...given('metrics', metrics),
    log: { ...log, to: log.to.length === 0 ? 'none' : log.to },
    drainSeconds: config.drainSeconds,
    ...given('pidFile', config.pidFile),
    ...given('user', config.user),
  }
  return showConfig(fields)
}

function accessFields({ certificateUserNames, ...access }: AccessChoice): object {
  return {
    ...given('passwordFile', access.passwordFile),
    ...given('allowAnonymous', access.allowAnonymous),
    ...given('aclFile', access.aclFile),
    ...given(
      'certificateUserNames',
      certificateUserNames === 'common-name' ? true : certificateUserNames,
    ),
  }
}

function unusual(limits: object): object | null {
  const usual: ReadonlyMap<string, unknown> = new Map(Object.entries(DEFAULT_LIMITS))
  const others = Object.entries(limits).filter(([name, value]) => usual.get(name) !== value)
  return others.length === 0 ? null : Object.fromEntries(others)
}

function given(name: string, value: unknown): object {
  return value === null || value === undefined ? {} : { [name]: value }
}
