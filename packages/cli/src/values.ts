// Values of options as people write them: numbers, sizes, times, addresses.

import { usage } from './failure.ts'

const SIZE_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
}

const SECOND_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  s: 1,
  m: 60,
  h: 3600,
  d: 24 * 3600,
}

/** A whole number, e.g. `100` or `10_000`. */
export function parseCount(option: string, text: string): number {
  const plain = text.replaceAll('_', '')
  if (!/^\d+$/.test(plain)) usage(`${option} takes a whole number, not ${JSON.stringify(text)}`)
  return Number(plain)
}

/** Bytes, e.g. `4096`, `64k`, `1MB`, `2GiB`; k, m and g are powers of 1024. */
export function parseSize(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(text)
  const factor = SIZE_FACTORS[(match?.[2] ?? '').toLowerCase()]
  if (match === null || factor === undefined) {
    usage(`${option} takes a size such as 4096, 64k or 1m, not ${JSON.stringify(text)}`)
  }
  return Math.round(Number(match[1]) * factor)
}

/** Seconds, e.g. `30`, `90s`, `15m`, `12h`, `7d`. */
export function parseSeconds(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([smhd]?)$/.exec(text)
  const factor = SECOND_FACTORS[match?.[2] ?? '']
  if (match === null || factor === undefined) {
    usage(`${option} takes a time such as 30, 90s, 15m, 12h or 7d, not ${JSON.stringify(text)}`)
  }
  return Number(match[1]) * factor
}

/** A port; 0 takes a free one. */
export function parsePort(option: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1
  if (port < 0 || port > 65_535) usage(`${option} takes a port, not ${JSON.stringify(text)}`)
  return port
}

/** `host:port`, `:port`, `host` or `[::1]:port`; what is missing is undefined. */
export function parseAddress(
  option: string,
  text: string,
): { host: string | undefined; port: number | undefined } {
  const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^:]*))(?::(\d+))?$/.exec(text)
  if (match === null && /^[0-9a-fA-F:]+$/.test(text)) return { host: text, port: undefined }
  if (match === null) usage(`${option} takes host:port, not ${JSON.stringify(text)}`)
  const port = match[3] === undefined ? undefined : parsePort(option, match[3])
  const host = match[1] ?? match[2]
  return { host: host === '' && port === undefined ? undefined : host, port }
}

/** Rights of a file in octal, e.g. `660`. */
export function parseMode(option: string, text: string): number {
  if (!/^0?o?[0-7]{3}$/.test(text)) {
    usage(`${option} takes rights in octal such as 660, not ${JSON.stringify(text)}`)
  }
  return Number.parseInt(text.slice(-3), 8)
}
