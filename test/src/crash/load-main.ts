// The process of the load. It outlives the brokers of all rounds and is told by its parent, who
// starts and kills them, when a round begins, when the broker has died and where it is again.

import { Load, type RoundFigures } from './load.ts'

export type LoadCommand =
  | { readonly type: 'start'; readonly seed: number; readonly round: number; readonly port: number }
  | { readonly type: 'crashed' }
  /** `patienceMs`: how long to wait for what does not come. */
  | { readonly type: 'recovered'; readonly port: number; readonly patienceMs?: number }
  | { readonly type: 'end' }

export type LoadAnswer =
  /** Sessions and subscriptions are there, everybody is at work. */
  | { readonly type: 'running' }
  /** Everybody knows that the broker is gone. */
  | { readonly type: 'stopped' }
  /** The ledger of the round is complete. */
  | { readonly type: 'done'; readonly ledger: string; readonly figures: RoundFigures }

const [, , ledgerPrefix = 'ledger'] = process.argv
let load: Load | null = null
let running: Promise<void> = Promise.resolve()
let round = 0

process.on('message', (command: LoadCommand) => {
  handle(command).catch((error: unknown) => {
    // A load that went wrong proves nothing: its ledger stays without an end.
    process.stderr.write(`the load failed: ${error instanceof Error ? error.stack : error}\n`)
    process.exit(1)
  })
})

async function handle(command: LoadCommand): Promise<void> {
  switch (command.type) {
    case 'start': {
      round = command.round
      load ??= new Load(command.seed, ledgerOf(round))
      await load.setUp(command.port)
      running = load.run(round, command.port)
      answer({ type: 'running' })
      break
    }
    case 'crashed':
      await load?.stop(running)
      answer({ type: 'stopped' })
      break
    case 'recovered':
      if (load === null) break
      await load.recover(command.port, command.patienceMs)
      answer({
        type: 'done',
        ledger: ledgerOf(round),
        figures: load.finishRound(ledgerOf(round + 1)),
      })
      break
    default:
      load?.end()
      process.disconnect()
  }
}

function ledgerOf(ofRound: number): string {
  return `${ledgerPrefix}-${ofRound}.jsonl`
}

function answer(what: LoadAnswer): void {
  process.send?.(what)
}
