// hot
// Numbers by index, eight or four bytes each and nothing more, outside of the heap. They grow page
// by page, so that nothing is ever copied and the turn never waits for it.

const PAGE_BITS = 14
const PAGE_SIZE = 1 << PAGE_BITS
const PAGE_MASK = PAGE_SIZE - 1
const TWO_TO_32 = 0x1_0000_0000

export class Uint32Column {
  /** Pages with nothing but zeros are not there. */
  private readonly pages: (Uint32Array | null)[] = []

  get(index: number): number {
    const page = this.pages[index >>> PAGE_BITS] ?? null
    return page === null ? 0 : (page[index & PAGE_MASK] as number)
  }

  set(index: number, value: number): void {
    const at = index >>> PAGE_BITS
    let page = this.pages[at] ?? null
    if (page === null) {
      if (value === 0) return
      while (this.pages.length < at) this.pages.push(null)
      page = new Uint32Array(PAGE_SIZE)
      this.pages[at] = page
    }
    page[index & PAGE_MASK] = value
  }
}

export class Float64Column {
  /** Pages with nothing but zeros are not there. */
  private readonly pages: (Float64Array | null)[] = []

  get(index: number): number {
    const page = this.pages[index >>> PAGE_BITS] ?? null
    return page === null ? 0 : (page[index & PAGE_MASK] as number)
  }

  set(index: number, value: number): void {
    const at = index >>> PAGE_BITS
    let page = this.pages[at] ?? null
    if (page === null) {
      if (value === 0) return
      while (this.pages.length < at) this.pages.push(null)
      page = new Float64Array(PAGE_SIZE)
      this.pages[at] = page
    }
    page[index & PAGE_MASK] = value
  }

  add(index: number, by: number): void {
    this.set(index, this.get(index) + by)
  }
}

/** Whole numbers up to 2^53, nearly all of which need four bytes. */
export class WideColumn {
  private readonly low = new Uint32Column()
  private readonly high = new Uint32Column()

  get(index: number): number {
    return this.high.get(index) * TWO_TO_32 + this.low.get(index)
  }

  set(index: number, value: number): void {
    this.low.set(index, value >>> 0)
    this.high.set(index, Math.floor(value / TWO_TO_32))
  }

  add(index: number, by: number): void {
    this.set(index, this.get(index) + by)
  }
}
