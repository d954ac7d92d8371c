// hot
// Numbers by index, eight or four bytes each and nothing more, outside of the heap. They grow page
// by page, so that nothing is ever copied and the turn never waits for it.

const PAGE_BITS = 14
const PAGE_SIZE = 1 << PAGE_BITS
const PAGE_MASK = PAGE_SIZE - 1

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
