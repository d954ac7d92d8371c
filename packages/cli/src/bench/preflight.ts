// Whether so many connections can be opened here, before it is tried: open files, ports, memory.
// Pure but for reading what the system says; what it does not say is not judged.

import { readFileSync } from 'node:fs'
import { freemem } from 'node:os'
import { formatBytes, formatCount } from './numbers.ts'

/** What the system allows; null where it does not say. */
export interface SystemLimits {
  readonly openFiles: number | null
  readonly portFrom: number | null
  readonly portTo: number | null
  readonly memoryBytes: number
}

export interface Wanted {
  readonly sessions: number
  readonly processes: number
  readonly sourceAddresses: number
  readonly targets: number
}

export interface Check {
  readonly name: 'open files' | 'ports' | 'memory'
  readonly isEnough: boolean
  readonly text: string
  /** What to do; '' when it is enough. */
  readonly advice: string
  /** Enough, but not without an effect on what is measured. */
  readonly hint: string
}

/** What a process has open besides its sessions. */
const FILES_BESIDE = 64
/** The part of the ports from which on the search for a free one is noticed. */
const SEARCHED_SHARE = 0.25
/** A session in this process, and its socket in the kernel on this side. */
const SESSION_BYTES = 6 * 1024
const KERNEL_BYTES = 4 * 1024
const PROCESS_BYTES = 80 * 1024 * 1024

export function checkLimits(limits: SystemLimits, wanted: Wanted): Check[] {
  const checks: Check[] = []
  if (limits.openFiles !== null) checks.push(checkFiles(limits.openFiles, wanted))
  if (limits.portFrom !== null && limits.portTo !== null) {
    checks.push(checkPorts(limits.portTo - limits.portFrom + 1, wanted))
  }
  checks.push(checkMemory(limits.memoryBytes, wanted))
  return checks
}

function checkFiles(openFiles: number, { sessions, processes }: Wanted): Check {
  const each = Math.ceil(sessions / processes)
  const room = openFiles - FILES_BESIDE
  const isEnough = each <= room
  const needed = Math.ceil(sessions / Math.max(1, room))
  return {
    name: 'open files',
    isEnough,
    text: `${formatCount(each)} per process of ${formatCount(openFiles)}`,
    hint: '',
    advice: isEnough
      ? ''
      : `use --processes ${needed}, or raise the limit: ulimit -n ${each + FILES_BESIDE}`,
  }
}

function checkPorts(ports: number, { sessions, sourceAddresses, targets }: Wanted): Check {
  // An address that is chosen is bound before it is known where to, so targets add nothing then.
  const each = sourceAddresses > 0 ? sourceAddresses : targets
  const all = ports * each
  const isEnough = sessions <= all
  const needed = Math.ceil(sessions / ports)
  const kind = sourceAddresses > 0 ? 'source addresses' : 'targets'
  const isSlow = isEnough && sourceAddresses === 0 && sessions > all * SEARCHED_SHARE
  const spread = Math.ceil(sessions / (ports * SEARCHED_SHARE))
  return {
    name: 'ports',
    hint: isSlow
      ? 'the system searches the longer for a free port the more are taken, and the connect rate ' +
        `falls: --source-address with ${spread} addresses of this machine spreads them`
      : '',
    isEnough,
    text: `${formatCount(ports)} x ${each} ${kind} = ${formatCount(all)}`,
    advice: isEnough
      ? ''
      : `use ${needed} source addresses (on this machine --source-address ` +
        `127.0.0.1-127.0.0.${needed}), or sysctl net.ipv4.ip_local_port_range="1024 65535"`,
  }
}

function checkMemory(memoryBytes: number, { sessions, processes }: Wanted): Check {
  const needed = sessions * (SESSION_BYTES + KERNEL_BYTES) + processes * PROCESS_BYTES
  const isEnough = needed <= memoryBytes
  const each = SESSION_BYTES + KERNEL_BYTES
  const most = Math.floor((memoryBytes - processes * PROCESS_BYTES) / each)
  return {
    name: 'memory',
    isEnough,
    text: `about ${formatBytes(needed)} of ${formatBytes(memoryBytes)}, the broker's not counted`,
    hint: '',
    advice: isEnough ? '' : `use --conns ${Math.max(0, most)}, or other machines too`,
  }
}

export function readLimits(): SystemLimits {
  const limits = readOrEmpty('/proc/self/limits')
  const openFiles = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1]
  const ports = /^(\d+)\s+(\d+)/.exec(readOrEmpty('/proc/sys/net/ipv4/ip_local_port_range'))
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(readOrEmpty('/proc/meminfo'))?.[1]
  return {
    openFiles: openFiles === undefined || openFiles === 'unlimited' ? null : Number(openFiles),
    portFrom: ports === null ? null : Number(ports[1]),
    portTo: ports === null ? null : Number(ports[2]),
    memoryBytes: available === undefined ? freemem() : Number(available) * 1024,
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Not Linux: nothing is known, and nothing is judged.
    return ''
  }
}
