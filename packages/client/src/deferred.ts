// A promise and what settles it.

export class Deferred<T> {
  resolve: (value: T) => void = ignore
  reject: (error: unknown) => void = ignore
  readonly promise: Promise<T> = new Promise((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })
}

/** What is done about an outcome that nobody waits for. */
export function ignore(): void {
  // Whoever has to know is told in another way.
}
