// hot
// Which deliveries a part of the log removes, by their owner: ranges of sequences, since clients
// acknowledge in order, nearly all of them. A few numbers per owner, whatever it has removed.

const NEVER = Number.POSITIVE_INFINITY

/** Of one owner. */
export class Removals {
  /** The lowest sequence that was put in the same part. */
  firstPut: number = NEVER
  /** The range that came last, and those before it. */
  private from: number
  private to: number
  private froms: number[] | null = null
  private tos: number[] | null = null
  private sorted = true

  constructor(from: number, to: number) {
    this.from = from
    this.to = to
  }

  add(from: number, to: number): void {
    if (from === this.to + 1) {
      this.to = to
      return
    }
    if (this.froms === null || this.tos === null) {
      this.froms = []
      this.tos = []
    }
    this.froms.push(this.from)
    this.tos.push(this.to)
    if (from <= this.to) this.sorted = false
    this.from = from
    this.to = to
  }

  /** All have been added: from now on it can be asked. */
  settle(): void {
    if (this.sorted || this.froms === null || this.tos === null) return
    const { froms, tos } = this
    froms.push(this.from)
    tos.push(this.to)
    const order = froms.map((_from, i) => i).sort((a, b) => (froms[a] ?? 0) - (froms[b] ?? 0))
    this.froms = []
    this.tos = []
    this.from = froms[order[0] as number] as number
    this.to = tos[order[0] as number] as number
    for (const i of order) this.follow(froms[i] as number, tos[i] as number)
  }

  /** It begins no earlier than the last one, and may lie over it. */
  private follow(from: number, to: number): void {
    if (from > this.to + 1) {
      this.froms?.push(this.from)
      this.tos?.push(this.to)
      this.from = from
      this.to = to
    } else if (to > this.to) this.to = to
  }

  has(sequence: number): boolean {
    if (sequence >= this.from) return sequence <= this.to
    const { froms, tos } = this
    if (froms === null || tos === null) return false
    let low = 0
    let high = froms.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if ((froms[middle] as number) <= sequence) low = middle + 1
      else high = middle - 1
    }
    return high >= 0 && sequence <= (tos[high] as number)
  }

  /** Whether all of these are in the last range; false is no answer. */
  hasAll(from: number, count: number): boolean {
    return from >= this.from && from + count - 1 <= this.to
  }
}

export class RemovalsByOwner {
  private readonly owners = new Map<number, Removals>()
  private lastOwner = -1
  private last: Removals | null = null

  add(owner: number, sequence: number, count: number): void {
    const known = this.of(owner)
    const to = sequence + count - 1
    if (known !== null) {
      known.add(sequence, to)
      return
    }
    const removals = new Removals(sequence, to)
    this.owners.set(owner, removals)
    this.last = removals
  }

  settle(): void {
    for (const removals of this.owners.values()) removals.settle()
  }

  of(owner: number): Removals | null {
    if (owner === this.lastOwner) return this.last
    this.lastOwner = owner
    this.last = this.owners.get(owner) ?? null
    return this.last
  }

  clear(): void {
    this.owners.clear()
    this.lastOwner = -1
    this.last = null
  }
}
