// Signals from the first moment on: what comes while `godwit serve` starts is kept until there is
// somebody to answer it. By itself Node ends at most of them and opens a debugger at one.

const STOPS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']
const KEPT: readonly NodeJS.Signals[] = [...STOPS, 'SIGHUP', 'SIGUSR1', 'SIGUSR2']

export class EarlySignals {
  /** Of several of one kind only one. */
  private readonly kept = new Set<NodeJS.Signals>()

  constructor() {
    for (const signal of KEPT) process.on(signal, this.keep)
  }

  /** Calls `answer` from now on, and at once if the signal has come already. */
  answer(signal: NodeJS.Signals, answer: (signal: NodeJS.Signals) => void): void {
    // In this order: with its last listener Node forgets a signal that it has not told of yet.
    process.on(signal, answer)
    process.off(signal, this.keep)
    if (this.kept.delete(signal)) answer(signal)
  }

  /** Node's own answers hold again. */
  release(): void {
    for (const signal of KEPT) process.off(signal, this.keep)
  }

  private readonly keep = (signal: NodeJS.Signals): void => {
    // As later: the first stops in order, the second at once.
    if (STOPS.includes(signal) && STOPS.some(stop => this.kept.has(stop))) process.exit(1)
    this.kept.add(signal)
  }
}
