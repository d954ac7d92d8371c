// Where the command `godwit` starts: pub, sub, rr and replay have Mosquitto's options and their own
// parser, bench has a table of its own, everything else is commander's. Nothing is loaded that a
// command does not need.

import { EarlySignals } from './early-signals.ts'
import type { CommandFailure } from './failure.ts'
import type { ClientCommand } from './options/choice.ts'
import { outputStream } from './output/streams.ts'
import { VERSION } from './version.ts'

async function main(): Promise<number> {
  const [command = '', ...words] = process.argv.slice(2)
  switch (command) {
    case 'pub':
    case 'sub':
    case 'rr':
    case 'check':
      return runClient(command, words)
    case 'replay':
      return runClient('pub', replayWords(words))
    case 'help':
      return help(words)
    case 'serve': {
      const signals = new EarlySignals()
      if (needsStore(words)) (await import('@godwit/broker/store/worker-thread')).startAhead()
      return (await import('./main.ts')).runProgram(process.argv.slice(2), signals)
    }
    case 'bench':
      return (await import('./bench/command.ts')).bench(words)
    case '--version':
      console.log(VERSION)
      return 0
    default:
      return (await import('./main.ts')).runProgram(process.argv.slice(2))
  }
}

/** As far as can be told without a parser: a configuration may say later that there is none. */
function needsStore(words: readonly string[]): boolean {
  const none = ['none', '--data=none', '--help', '-h', '--check', '--print-config']
  return words.every(word => !none.includes(word))
}

/** `help pub` is `pub --help`: commander does not know the options of all. */
async function help([command = '']: readonly string[]): Promise<number> {
  const client = (['pub', 'sub', 'rr', 'check'] as const).find(each => each === command)
  if (client !== undefined) return runClient(client, ['--help'])
  if (command === 'replay') return runClient('pub', ['--help'])
  if (command === 'bench') return (await import('./bench/command.ts')).bench(['--help'])
  return (await import('./main.ts')).runProgram(['help', ...(command === '' ? [] : [command])])
}

/** `replay file …` is `pub --replay file …`. */
function replayWords(words: readonly string[]): string[] {
  const [first] = words
  return first === '--help' ? ['--help'] : ['--replay', ...words]
}

async function runClient(command: ClientCommand, words: readonly string[]): Promise<number> {
  const { parseClientWords } = await import('./options/parse.ts')
  const choice = parseClientWords(command, words, { environment: process.env, pid: process.pid })
  if (choice === 'version') {
    console.log(`godwit ${command} ${VERSION}`)
    return 0
  }
  if (choice === 'help') {
    const { clientHelp } = await import('./commands/client-help.ts')
    outputStream().write(clientHelp(command))
    return 0
  }
  if (command === 'pub') return (await import('./commands/pub.ts')).publish(choice)
  if (command === 'sub') return (await import('./commands/sub.ts')).subscribe(choice)
  if (command === 'rr') return (await import('./commands/rr.ts')).request(choice)
  return (await import('./commands/check.ts')).check(choice)
}

/** By its name: in a bundle the class is another than that of what is loaded from outside. */
function isFailure(error: unknown): error is CommandFailure {
  return error instanceof Error && error.name === 'CommandFailure'
}

async function fail(error: unknown): Promise<number> {
  if (!isFailure(error)) throw error
  const { paintError } = await import('./output/paint.ts')
  console.error(`${paintError.red('Error:')} ${error.message}`)
  if (error.isUsage) console.error(`\nUse 'godwit ${commandName()} --help' to see usage.`)
  return error.exitCode
}

function commandName(): string {
  const [command = '', tester = ''] = process.argv.slice(2)
  return command === 'bench' ? `bench ${tester}` : command
}

/** What was written to a pipe goes out before the end; whatever else still runs does not matter. */
function end(exitCode: number): void {
  const { stdout } = process
  const exit = (): void => process.exit(outputCode(exitCode, stdout.errored))
  if (stdout.errored !== null || stdout.writableLength === 0) exit()
  stdout.once('drain', exit)
  stdout.once('error', exit)
}

/** A full disk behind standard output is an error, a reader who has gone is none. */
function outputCode(exitCode: number, error: NodeJS.ErrnoException | null): number {
  if (error === null || error.code === 'EPIPE' || error.code === 'EOF') return exitCode
  console.error(`Error: standard output: ${error.message}`)
  return exitCode === 0 ? 1 : exitCode
}

void main().catch(fail).then(end)
