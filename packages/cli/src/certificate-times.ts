// Tells of certificates of the listeners that are not valid any more, or soon will not be: clients
// then stop coming, and the broker itself notices nothing.

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ListenOptions } from '@godwit/broker'

const DAY_MS = 24 * 3600 * 1000
const SOON_DAYS = 14

interface Warnings {
  warn(text: string): void
}

/** Looks now and once a day. */
export function watchCertificates(listeners: readonly ListenOptions[], log: Warnings): void {
  if (!listeners.some(({ tls }) => tls !== undefined)) return
  tellCertificates(listeners, log)
  setInterval(() => tellCertificates(listeners, log), DAY_MS).unref()
}

/** Warns of each certificate whose time is over, near its end or not come yet. */
export function tellCertificates(
  listeners: readonly ListenOptions[],
  log: Warnings,
  nowMs: number = Date.now(),
): void {
  const told = new Set<string>()
  for (const { tls } of listeners) {
    const name = tls?.certFile ?? 'the certificate'
    const text = textOf(tls ?? {})
    const warning = text === null ? null : warningOf(name, text, nowMs)
    if (warning !== null) told.add(warning)
  }
  for (const warning of told) log.warn(warning)
}

/** @returns null when it cannot be read now: whoever has to read it says so */
function textOf({ cert, certFile }: NonNullable<ListenOptions['tls']>): string | Uint8Array | null {
  if (cert !== undefined) return cert
  if (certFile === undefined) return null
  try {
    return readFileSync(certFile)
  } catch {
    return null
  }
}

function warningOf(name: string, pem: string | Uint8Array, nowMs: number): string | null {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(pem)
  } catch {
    return null
  }
  const { validFrom, validTo } = certificate
  const daysLeft = (Date.parse(validTo) - nowMs) / DAY_MS
  if (daysLeft <= 0) return `${name} expired on ${validTo}: clients will refuse it`
  if (Date.parse(validFrom) > nowMs) return `${name} is not valid before ${validFrom}`
  if (daysLeft > SOON_DAYS) return null
  return `${name} expires on ${validTo}, in ${Math.ceil(daysLeft)} days; SIGHUP reads a new one`
}
