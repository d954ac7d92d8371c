// Opens connections as the options say: targets and source addresses in turn, TLS where a target is
// secure.

import { isIPv4 } from 'node:net'
import { usage } from '../failure.ts'
import { nowUs } from './clock.ts'
import type { Timer } from './opener.ts'
import type { ConnectionSettings } from './settings.ts'
import { openTransport, type Transport, type TransportOwner } from './transport.ts'

export interface Dialer {
  readonly timer: Timer
  /** @param index of the client: decides its target and its source address */
  open(index: number, owner: TransportOwner): Transport
}

const SOURCE_ADDRESSES_MAX = 65_536

export function dialer(settings: ConnectionSettings): Dialer {
  const { targets, sourceAddresses, tls } = settings
  return {
    timer: {
      nowUs,
      after: (ms, act) => {
        setTimeout(act, ms)
      },
    },
    open(index, owner) {
      const target = targets[index % targets.length]
      if (target === undefined) throw new Error('no target')
      // Neighbours that share a target have different addresses.
      const turn = Math.floor(index / targets.length)
      const source = sourceAddresses[turn % Math.max(1, sourceAddresses.length)] ?? null
      return openTransport(target, source, tls, owner)
    },
  }
}

/**
 * `10.0.0.1`, `10.0.0.1-10.0.0.8`, `10.0.0.1-8`, and lists of them with commas.
 * @throws CommandFailure
 */
export function parseSourceAddresses(option: string, text: string): string[] {
  const addresses = text.split(',').flatMap(part => {
    const [from = '', to] = part.trim().split('-')
    if (to === undefined) return from.includes(':') || isIPv4(from) ? [from] : wrong(option, part)
    const last = isIPv4(to) ? to : from.replace(/\d+$/, to)
    if (!isIPv4(from) || !isIPv4(last)) return wrong(option, part)
    const begin = numberOf(from)
    const end = numberOf(last)
    if (end < begin || end - begin >= SOURCE_ADDRESSES_MAX) return wrong(option, part)
    return Array.from({ length: end - begin + 1 }, (_, i) => addressOf(begin + i))
  })
  return addresses
}

function wrong(option: string, part: string): never {
  usage(`${option} takes addresses such as 10.0.0.1 or 10.0.0.1-10.0.0.8, not ${part}`)
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function addressOf(number: number): string {
  return [24, 16, 8, 0].map(shift => (number >>> shift) & 255).join('.')
}
