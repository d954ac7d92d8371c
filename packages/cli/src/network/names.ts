// What Node does with the name of a host before it asks for its address, made cheap for a command
// that does it once.

import { isIPv4, isIPv6 } from 'node:net'
import { setFlagsFromString } from 'node:v8'

/**
 * To be called before a name is connected to. Node tells names from addresses by a regular
 * expression for IPv6, in which V8 finds 8 to 15 ms of work to make it quick, at its first use and
 * again at its second, and a command needs it twice. Without that work it takes 2 ms, and is quick
 * enough for good.
 */
export function expectName(host: string): void {
  // Node looks no further either.
  if (isIPv4(host)) return
  setFlagsFromString('--no-regexp-optimization')
  isIPv6(host)
  isIPv6(host)
  setFlagsFromString('--regexp-optimization')
}
