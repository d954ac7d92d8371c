// Settings of the testers for tests: as from options, with short times and without a display.

import type { TrialWatcher } from '../bench/coordinator.ts'
import { parseFlags } from '../bench/flags.ts'
import { loadSettings, manySettings, pingSettings } from '../bench/options.ts'
import type { LoadSettings, ManySettings } from '../bench/settings.ts'

/** What somebody would type after `godwit bench load`. */
export function loadOf(port: number, options: string): LoadSettings {
  return loadSettings(parseFlags('load', words(port, options)), `load ${options}`)
}

/** What somebody would type after `godwit bench ping`. */
export function pingOf(port: number, options: string): LoadSettings {
  return pingSettings(parseFlags('ping', words(port, options)), `ping ${options}`)
}

/** What somebody would type after `godwit bench many`. */
export function manyOf(port: number, options: string): ManySettings {
  return manySettings(parseFlags('many', words(port, options)), `many ${options}`)
}

export const SILENT: TrialWatcher = {
  connecting: () => undefined,
  connected: () => undefined,
  interval: () => undefined,
  draining: () => undefined,
  settled: () => undefined,
}

/** Never fires. */
export function noSignal(): AbortSignal {
  return new AbortController().signal
}

function words(port: number, options: string): string[] {
  const typed = options.split(' ').filter(word => word !== '')
  return ['--port', String(port), '--host', '127.0.0.1', '--seed', '1', ...typed]
}
