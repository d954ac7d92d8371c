// Which address and port of this machine a session connects from. The system could choose the port,
// but for an address that is bound first it searches among all that are taken, and with thousands
// of them that takes milliseconds each. Here each session has a place of its own. Pure.

export interface PortRange {
  readonly from: number
  readonly to: number
}

export interface Source {
  readonly address: string
  /** 0: the system chooses. */
  readonly port: number
}

/** Where the next attempt looks, when something else has the port. */
const STRIDE = 7_919
export const PORT_ATTEMPTS_MAX = 50

export class SourcePorts {
  private readonly addresses: readonly string[]
  private readonly targets: number
  private readonly range: PortRange | null
  private readonly offset: number

  /** @param seed where in the range to begin: the ports of the last run may not be free yet */
  constructor(
    addresses: readonly string[],
    targets: number,
    range: PortRange | null,
    seed: number,
  ) {
    this.addresses = addresses
    this.targets = targets
    this.range = range
    this.offset = seed
  }

  /**
   * @param number of the session: sessions with one target and one address have different ports
   * @param attempt how often a port of this session was taken
   * @returns null when the system chooses both
   */
  sourceOf(number: number, attempt: number): Source | null {
    const { addresses, range } = this
    const turn = Math.floor(number / this.targets)
    const address = addresses[turn % addresses.length]
    if (address === undefined) return null
    if (range === null) return { address, port: 0 }
    const size = range.to - range.from + 1
    const place = Math.floor(turn / addresses.length) + this.offset + attempt * STRIDE
    return { address, port: range.from + (place % size) }
  }
}

/** Whether another port may do. */
export function isPortTaken(error: Error): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL'
}
