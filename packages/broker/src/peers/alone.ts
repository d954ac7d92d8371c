// A node without others.

import type { Peers } from '../core/ports.ts'

export class Alone implements Peers {
  readonly nodeName: string
  readonly present = false

  constructor(nodeName: string) {
    this.nodeName = nodeName
  }

  interested(): void {
    // Nobody asks.
  }

  forward(): void {
    // Nobody is there.
  }
}
