// The commands of `godwit` for commander: what there is, and which file does it. Each is loaded
// when it is asked for, so that --help is quick.

import { Command, CommanderError, type Command as Parser } from 'commander'
import type { CompletedCommand } from './commands/completion.ts'
import type { PasswdFlags } from './commands/passwd.ts'
import type { TicktockFlags } from './commands/ticktock.ts'
import type { TransferFlags } from './commands/transfer.ts'
import { EarlySignals } from './early-signals.ts'
import { withLegacyFlags } from './legacy-flags.ts'
import { errorStream, outputStream } from './output/streams.ts'
import type { ServeFlags } from './serve-flags.ts'
import { LIMIT_FLAGS } from './serve-flags.ts'
import { VERSION } from './version.ts'

const USAGE_EXIT_CODE = 2

/** What has a parser of its own, see start.ts; here only for the list of commands. */
const ClientTexts: Readonly<Record<string, string>> = {
  pub: 'publish a message, or many',
  sub: 'print the messages of topics',
  rr: 'publish a request and print its response',
  replay: 'publish a recording of sub --record',
  check: 'find out what a broker supports',
  bench: 'load testers: ping, load, many, compare, report, compare-brokers',
}

const ServeHelp = `
Examples:
  godwit serve                              on 127.0.0.1:1883, for this machine
  godwit serve --host 0.0.0.0               for the network
  godwit serve --tls-cert server.crt --tls-key server.key
  godwit serve --port 1883 --ws-port 8083   MQTT and WebSocket
  godwit serve --config godwit.yaml --check
  godwit serve --config /etc/mosquitto/mosquitto.conf --print-config

Sizes are 4096, 64k or 1m; times are 30, 90s, 15m, 12h or 7d.
SIGHUP reads certificates, passwords and ACL again, SIGINT and SIGTERM stop gracefully.`

const PasswdHelp = `
Examples:
  godwit passwd -c passwords joe           a new file; asks for the password
  godwit passwd -b passwords ann secret    adds or changes one
  godwit passwd -D passwords joe           takes one out
  godwit passwd -U passwords               hashes what is in plain text
  godwit passwd --verify passwords ann     says whether a password is right
  echo secret | godwit passwd passwords ann

The files are Mosquitto's: mosquitto reads them, and godwit serve --password-file reads mosquitto's.
-H argon2id needs Mosquitto 2.1.`

const CompletionHelp = `
Examples:
  eval "$(godwit completion bash)"                        in ~/.bashrc
  godwit completion zsh > "\${fpath[1]}/_godwit"
  godwit completion fish > ~/.config/fish/completions/godwit.fish`

const TransferHelp = `
Examples:
  godwit export --data data > state.ndjson
  godwit import --data elsewhere < state.ndjson

No broker may be using the directory. An import that fails changes nothing.`

const TicktockHelp = `
Examples:
  godwit ticktock --who bonnie --delay 1s
  godwit ticktock -host broker:1883 -who clyde`

/**
 * Runs what was asked for.
 * @param signals that a broker takes over
 * @returns the exit code
 * @throws CommandFailure
 */
export async function runProgram(
  words: readonly string[],
  signals: EarlySignals | null = null,
): Promise<number> {
  let exitCode = 0
  const exit = (code: number): void => {
    exitCode = code
  }
  const program = new Command('godwit')
  program
    .description('MQTT broker, clients and load testers')
    .version(VERSION)
    .helpOption('-h, --help', 'show what there is')
    .exitOverride()
    .configureOutput({
      writeOut: text => void outputStream().write(text),
      writeErr: text => void errorStream().write(text),
      outputError: (text, write) => write(text.replace(/^error:/, 'Error:')),
    })
  defineServe(program, async flags => {
    const { serve } = await import('./serve.ts')
    exitCode = await serve(flags, signals ?? new EarlySignals())
  })
  for (const [name, text] of Object.entries(ClientTexts)) program.command(name).description(text)
  defineTools(program, exit)
  defineCompletion(program, exit)
  defineTransfer(program)
  for (const command of [program, ...program.commands]) {
    const name = command === program ? '' : `${command.name()} `
    command.showHelpAfterError(`\nUse 'godwit ${name}--help' to see usage.`)
  }
  try {
    await program.parseAsync(withLegacyFlags(knownHelp(words, program)), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE
  }
  return exitCode
}

/** Help for what there is not is the error that it alone would be. */
function knownHelp(words: readonly string[], program: Parser): readonly string[] {
  const [first, name] = words
  if (first !== 'help' || name === undefined) return words
  return program.commands.some(command => command.name() === name) ? words : [name]
}

function defineServe(program: Parser, run: (flags: ServeFlags) => Promise<void>): void {
  const serve = program
    .command('serve')
    .description('run a broker')
    .exitOverride()
    .optionsGroup('Where to listen:')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('-p, --port <port>', 'MQTT over TCP (default: 1883, unless others are given)')
    .option('--addr <host:port>', 'both in one')
    .option('--tls-port <port>', 'MQTT over TLS (default: 8883, with --tls-cert)')
    .option('--ws-port <port>', 'MQTT over WebSocket')
    .option('--wss-port <port>', 'MQTT over WebSocket over TLS')
    .option('--ws-path <path>', 'where WebSockets connect to (default: /mqtt)')
    .option('--ws-origin <origin>', 'web pages that may connect, again for more', collect)
    .option('--unix <path>', 'a Unix socket')
    .option('--unix-mode <rights>', 'rights of its file, e.g. 660')
    .option('--proxy-protocol', 'every connection begins with a PROXY header')
    .option('--metrics-port <port>', 'metrics and health over HTTP: /metrics, /healthz, /readyz')
    .option('--metrics-host <address>', 'address of these (default: 127.0.0.1)')
    .optionsGroup('TLS:')
    .option('--tls-cert <file>', "the server's certificate")
    .option('--tls-key <file>', 'its private key')
    .option('--tls-ca <file>', 'who signs the certificates of clients, which are then required')
    .option('--tls-crl <file>', 'certificates of clients that are revoked')
    .option('--tls-client <wish>', 'none, optional or required (default: required with --tls-ca)')
    .optionsGroup('Who may come in (default: everybody), and do what:')
    .option('--password-file <file>', 'users and hashes, see godwit passwd')
    .option('--allow-anonymous', 'also who gives no user name')
    .option('--tls-user-names', "common names of clients' certificates, which need no password")
    .option('--acl-file <file>', 'who may publish and read what, as in Mosquitto (default: all)')
    .optionsGroup('What it does:')
    .option('--config <file>', 'configuration, YAML or a mosquitto.conf; flags come before it')
    .option('--check', 'only tell whether the configuration is valid')
    .option('--print-config', 'only print it as YAML, with the flags in it')
    .option('--data <directory>', 'where to store; none is in memory (default: ./data)')
    .option('--salvage', 'start without the records of a damaged log that cannot be read')
    .option(
      '--low-space <size>',
      'warn with less free than this, e.g. 2g or 5% (default: 5%, or 1g)',
    )
    .option('--dump', 'log every packet in and out')
    .option('--stats-interval <time>', 'how often $SYS is published, 0 is never (default: 10)')
    .option('--node-name <name>', 'name of this broker (default: that of the machine)')
    .option('--log-level <level>', 'fatal, error, warn, info, debug or trace (default: info)')
    .option('--json', 'log in JSON even on a terminal')
    .option('--drain <time>', 'how long clients may take to go at the end (default: 5)')
    .optionsGroup('Limits (all of them are in the configuration file):')
  for (const { flags, text } of LIMIT_FLAGS) serve.option(flags, text)
  serve.addHelpText('after', ServeHelp)
  serve.action((flags: ServeFlags) => run(flags))
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}

function defineCompletion(program: Parser, exit: (code: number) => void): void {
  program
    .command('completion')
    .description('print what bash, zsh or fish needs to complete commands')
    .argument('<shell>', 'bash, zsh or fish')
    .exitOverride()
    .addHelpText('after', CompletionHelp)
    .action(async (shell: string) => {
      const { completion } = await import('./commands/completion.ts')
      exit(completion(shell, commandsOf(program)))
    })
}

/** What commander knows, for completion. */
function commandsOf(program: Parser): CompletedCommand[] {
  return program.commands.map(command => ({
    name: command.name(),
    text: command.description(),
    options: command.options.map(({ short, long, description, required }) => ({
      names: [short, long].filter(name => name !== undefined),
      text: description,
      takesValue: required,
    })),
  }))
}

function defineTransfer(program: Parser): void {
  program
    .command('export')
    .description('print all that a broker keeps on disk, as lines of JSON')
    .exitOverride()
    .option('--data <directory>', 'where it is kept (default: ./data)')
    .option('--salvage', 'without the records of a damaged log that cannot be read')
    .addHelpText('after', TransferHelp)
    .action(async (flags: TransferFlags) => {
      const { runExport } = await import('./commands/transfer.ts')
      await runExport(flags, outputStream())
    })
  program
    .command('import')
    .description('take what export has printed, from standard input')
    .exitOverride()
    .option('--data <directory>', 'where to keep it (default: ./data)')
    .option('--replace', 'what is kept there now goes')
    .addHelpText('after', TransferHelp)
    .action(async (flags: TransferFlags) => {
      const { runImport } = await import('./commands/transfer.ts')
      const records = await runImport(flags, process.stdin)
      console.error(`${records} records were imported`)
    })
}

function defineTools(program: Parser, exit: (code: number) => void): void {
  program
    .command('ticktock')
    .description('publish the time to the topic tick, and print what others publish there')
    .exitOverride()
    .option('--host <host>', 'broker, or broker:port (default: localhost:1883)')
    .option('--id <id>', 'client id (default: a random one)')
    .option('--user <name>', 'user name')
    .option('--pass <password>', 'password')
    .option('--dump', 'print every packet to standard error')
    .option('--delay <time>', 'time between messages (default: 1s)')
    .option('--who <name>', 'who says it (default: bonnie)')
    .addHelpText('after', TicktockHelp)
    .action(async (flags: TicktockFlags) => {
      const { ticktock } = await import('./commands/ticktock.ts')
      exit(await ticktock(flags))
    })
  program
    .command('passwd')
    .description('make and change password files')
    .argument('<file>', 'the password file')
    .argument('[name]', 'the user')
    .argument('[password]', 'with -b')
    .exitOverride()
    .option('-c, --create', 'make a new file, in place of one that is there')
    .option('-b, --batch', 'the password is on the command line')
    .option('-D, --delete', 'take the user out')
    .option('-U, --update', 'hash passwords that are in plain text')
    .option('-H, --hash <kind>', 'sha512-pbkdf2 (default), argon2id or sha512')
    .option('-I, --iterations <n>', 'of sha512-pbkdf2 (default: 210000)')
    .option('--verify', 'only say whether the password is right')
    .addHelpText('after', PasswdHelp)
    .action(async (path: string, name: string, password: string, flags: PasswdFlags) => {
      const { passwd } = await import('./commands/passwd.ts')
      const words = [path, name, password].filter(word => word !== undefined)
      exit(await passwd(words, flags))
    })
}
