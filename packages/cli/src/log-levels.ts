// The words for how much is logged and how it looks. Apart from the logger, which is slow to load.

export type LogFormat = 'auto' | 'pretty' | 'json'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]
