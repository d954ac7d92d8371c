// Values of the testers' options: rates, times, sizes, parts of a whole.

import { usage } from '../failure.ts'
import type { PayloadPlan } from './payload-check.ts'
import type { Storm } from './settings.ts'

const TimeFactors: Readonly<Record<string, number>> = {
  us: 1e-3,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
}
const CountFactors: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6 }
const SizeFactors: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2 }
const PAYLOAD_BYTES_MAX = 256 * 1024 * 1024
const RATE_MAX = 1e9

/** Milliseconds: `500ms`, `5s`, `2m`, `1h`; a bare number is seconds. */
export function parseMs(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(us|ms|s|m|h)?$/.exec(text)
  const factor = TimeFactors[match?.[2] ?? 's']
  if (match === null || factor === undefined) {
    usage(`${option} takes a time such as 500ms, 30s or 2m, not ${JSON.stringify(text)}`)
  }
  return Number(match[1]) * factor
}

/** Per second: `100`, `5k`, `1.5M/s`, `600/m`. */
export function parseRate(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kM]?)(?:\/(s|m|h))?$/.exec(text)
  const factor = CountFactors[match?.[2] ?? '']
  const perMs = TimeFactors[match?.[3] ?? 's']
  const rate = match === null ? 0 : (Number(match[1]) * (factor ?? 1)) / ((perMs ?? 1e3) / 1e3)
  if (rate <= 0 || rate > RATE_MAX) {
    usage(`${option} takes a rate above 0 such as 100/s, 50k or 1M/s, not ${JSON.stringify(text)}`)
  }
  return rate
}

/** A whole number from `least` on: `100`, `10_000`, `50k`. */
export function parseNumber(option: string, text: string, least: number, most: number): number {
  const match = /^(\d+)([kM]?)$/.exec(text.replaceAll('_', ''))
  const number = match === null ? -1 : Number(match[1]) * (CountFactors[match[2] ?? ''] ?? 1)
  if (number < least || number > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `${least} to ${most}`
    usage(`${option} takes a whole number ${range}, not ${JSON.stringify(text)}`)
  }
  return number
}

/** A part of a whole from 0 to 1: `25%`, `0.25`. */
export function parseShare(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text)
  const share = match === null ? -1 : Number(match[1]) / (match[2] === '%' ? 100 : 1)
  if (share < 0 || share > 1)
    usage(`${option} takes a part such as 25%, not ${JSON.stringify(text)}`)
  return share
}

/** `64`, `4k`, `64..1024`. */
export function parsePayloadSize(option: string, text: string): PayloadPlan {
  const [from = '', to = from] = text.split('..')
  const bytesMin = parseBytes(option, from)
  const bytesMax = parseBytes(option, to)
  if (bytesMax < bytesMin) usage(`${option}: ${text} ends below its beginning`)
  return { kind: 'size', bytesMin, bytesMax }
}

export function parseBytes(option: string, text: string): number {
  const match = /^(\d+)([km]?)b?$/i.exec(text)
  const bytes =
    match === null ? -1 : Number(match[1]) * (SizeFactors[(match[2] ?? '').toLowerCase()] ?? 1)
  if (bytes < 0 || bytes > PAYLOAD_BYTES_MAX) {
    usage(`${option} takes bytes such as 64, 4k or 1m, not ${JSON.stringify(text)}`)
  }
  return bytes
}

/** `50% every 10s`, `disconnect 50% every 5m`. */
export function parseStorm(option: string, text: string): Storm {
  const match = /^(?:disconnect\s+)?(\S+)\s+every\s+(\S+)$/.exec(text.trim())
  if (match === null) usage(`${option} takes e.g. '50% every 10s', not ${JSON.stringify(text)}`)
  const share = parseShare(option, match[1] ?? '')
  const everyUs = parseMs(option, match[2] ?? '') * 1e3
  if (share === 0 || everyUs === 0) usage(`${option} takes more than nothing, not ${text}`)
  return { share, everyUs }
}

/** `100/2s`: so many at once, so often. */
export function parseBurst(option: string, text: string): { size: number; everyUs: number } {
  const match = /^(\d+)\/(\S+)$/.exec(text)
  const size = Number(match?.[1] ?? 0)
  const everyUs = match === null ? 0 : parseMs(option, match[2] ?? '') * 1e3
  if (size === 0 || everyUs === 0) {
    usage(`${option} takes e.g. 100/2s: 100 at once every 2 seconds, not ${JSON.stringify(text)}`)
  }
  return { size, everyUs }
}
