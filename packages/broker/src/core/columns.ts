// hot
// Numbers by index, eight or four bytes each and nothing more, outside of the heap. They grow page
// by page, so that nothing is ever copied and the turn never waits for it.

const PAGE_BITS = 14
const PAGE_SIZE = 1 << PAGE_BITS
const PAGE_MASK = PAGE_SIZE - 1

export class Uint32Column {
  private readonly pages: Uint32Array[] = []

  get(index: number): number {
    return (this.pages[index >>> PAGE_BITS] as Uint32Array)[index & PAGE_MASK] as number
  }

  set(index: number, value: number): void {
    const page = index >>> PAGE_BITS
    if (page === this.pages.length) this.pages.push(new Uint32Array(PAGE_SIZE))
    const numbers = this.pages[page] as Uint32Array
    numbers[index & PAGE_MASK] = value
  }
}

export class Float64Column {
  private readonly pages: Float64Array[] = []

  get(index: number): number {
    return (this.pages[index >>> PAGE_BITS] as Float64Array)[index & PAGE_MASK] as number
  }

  set(index: number, value: number): void {
    const page = index >>> PAGE_BITS
    if (page === this.pages.length) this.pages.push(new Float64Array(PAGE_SIZE))
    const numbers = this.pages[page] as Float64Array
    numbers[index & PAGE_MASK] = value
  }

  add(index: number, by: number): void {
    this.set(index, this.get(index) + by)
  }
}
