#!/usr/bin/env node
// The command `godwit`: what it can do, and which file does it. Each is loaded when it is asked
// for, so that --help is quick.

import { Command, CommanderError, type Command as Parser } from 'commander'
import { CommandFailure } from './failure.ts'
import { withLegacyFlags } from './legacy-flags.ts'
import type { PubFlags } from './pub.ts'
import type { ServeFlags } from './serve-flags.ts'
import { LIMIT_FLAGS } from './serve-flags.ts'
import type { SubFlags } from './sub.ts'
import { VERSION } from './version.ts'

const USAGE_EXIT_CODE = 2
const MOSQUITTO_USAGE_EXIT_CODE = 1

const ServeHelp = `
Examples:
  godwit serve                              on 127.0.0.1:1883, for this machine
  godwit serve --host 0.0.0.0               for the network
  godwit serve --tls-cert server.crt --tls-key server.key
  godwit serve --port 1883 --ws-port 8083   MQTT and WebSocket
  godwit serve --config godwit.yaml --check

Sizes are 4096, 64k or 1m; times are 30, 90s, 15m, 12h or 7d.
SIGHUP reads certificates again, SIGINT and SIGTERM stop gracefully.`

const PubHelp = `
Examples:
  godwit pub -t hello -m world
  godwit pub hello world
  tail -f log | godwit pub -t log -l -q 1

The exit code is 0, or that of CONNACK, 27 after -W, else 1.`

const SubHelp = `
Examples:
  godwit sub -v -t '#'
  godwit sub -t sensors/+/temperature -C 1 -W 5

The exit code is 0, or that of CONNACK, 27 after -W, else 1.`

async function main(): Promise<number> {
  let exitCode = 0
  const program = new Command('godwit')
  program
    .description('MQTT broker, publisher and subscriber')
    .version(VERSION)
    .helpOption('-h, --help', 'show what there is')
    .exitOverride()
  defineServe(program, async flags => {
    const { serve } = await import('./serve.ts')
    exitCode = await serve(flags)
  })
  definePub(program, async (words, flags) => {
    const { publish } = await import('./pub.ts')
    exitCode = await publish(words, flags)
  })
  defineSub(program, async (words, flags) => {
    const { subscribe } = await import('./sub.ts')
    exitCode = await subscribe(words, flags)
  })
  await program.parseAsync(withLegacyFlags(process.argv.slice(2)), { from: 'user' })
  return exitCode
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
    .optionsGroup('TLS:')
    .option('--tls-cert <file>', "the server's certificate")
    .option('--tls-key <file>', 'its private key')
    .option('--tls-ca <file>', 'who signs the certificates of clients, which are then required')
    .option('--tls-crl <file>', 'certificates of clients that are revoked')
    .option('--tls-client <wish>', 'none, optional or required (default: required with --tls-ca)')
    .optionsGroup('What it does:')
    .option('--config <file>', 'configuration in YAML; flags come before it')
    .option('--check', 'only tell whether the configuration is valid')
    .option('--data <directory>', 'where to store; none is in memory (default: ./data)')
    .option('--salvage', 'start without the records of a damaged log that cannot be read')
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

function definePub(
  program: Parser,
  run: (words: string[], flags: PubFlags) => Promise<void>,
): void {
  const pub = program
    .command('pub')
    .description('publish a message')
    .argument('[words...]', 'topic and message, where -t and -m are not given')
  pub
    .exitOverride()
    .helpOption('--help', 'show this')
    .optionsGroup('What to publish:')
    .option('-t, --topic <topic>', 'where to')
    .option('-m, --message <text>', 'the message')
    .option('-f, --file <file>', 'the message is in a file')
    .option('-s, --stdin-all', 'standard input is the message')
    .option('-l, --stdin-lines', 'each line of standard input is a message')
    .option('-n, --nothing', 'an empty message')
    .option('-q, --qos <qos>', '0, 1 or 2 (default: 0)')
    .option('-r, --retain', 'the broker keeps it for later subscribers')
    .option('--repeat <n>', 'so many times')
    .option('--wait', 'stay connected')
  defineConnection(pub)
  pub.addHelpText('after', PubHelp)
  pub.action((words: string[], flags: PubFlags) => run(words, flags))
}

function defineSub(
  program: Parser,
  run: (words: string[], flags: SubFlags) => Promise<void>,
): void {
  const sub = program
    .command('sub')
    .description('print the messages of topics')
    .argument('[topics...]', 'topic filters, where -t is not given')
  sub
    .exitOverride()
    .helpOption('--help', 'show this')
    .optionsGroup('What to print:')
    .option('-t, --topic <filter>', 'topic filter, again for more', collect)
    .option('-T, --filter-out <filter>', 'leave out these topics, again for more', collect)
    .option('-q, --qos <qos>', '0, 1 or 2 (default: 0)')
    .option('-C, --count <n>', 'end after so many messages')
    .option('-v, --verbose', 'topic before payload')
    .option('-N, --no-newline', 'nothing after a payload')
    .option('-R, --no-stale', 'no retained messages')
    .option('--retained-only', 'only retained messages; end at the first other')
    .option('-E, --exit-after-suback', 'end when the broker has confirmed')
  defineConnection(sub)
  sub.addHelpText('after', SubHelp)
  sub.action((words: string[], flags: SubFlags) => run(words, flags))
}

/** What pub and sub have in common. */
function defineConnection(command: Parser): void {
  command
    .optionsGroup('Connection:')
    .option('-h, --host <host>', 'broker, or broker:port (default: localhost)')
    .option('-p, --port <port>', 'default: 1883, with TLS 8883')
    .option('-L, --url <url>', 'mqtt(s)://[user[:password]@]host[:port]/topic')
    .option('--unix <path>', 'a Unix socket instead')
    .option('-A, --bind <address>', 'address of this machine to connect from')
    .option('-i, --id <id>', 'client id (default: a random one)')
    .option('-I, --id-prefix <prefix>', 'client id: this and the number of the process')
    .option('-u, --user <name>', 'user name')
    .option('-P, --pass <password>', 'password')
    .option('-V, --protocol-version <version>', 'mqttv5, mqttv311 or mqttv31 (default: mqttv311)')
    .option('-k, --keepalive <seconds>', 'keep alive (default: 60)')
    .option('-c, --no-clean-session', 'keep the session; needs -i')
    .option('-x, --session-expiry <seconds>', 'how long it is kept, MQTT 5.0')
    .option('-M, --max-inflight <n>', 'unacknowledged messages (default: 20)')
    .option('-W, --timeout <seconds>', 'end after this time with code 27')
    .option('-d, --dump', 'print every packet to standard error')
    .option('--quiet', 'print no errors')
    .optionsGroup('Will:')
    .option('--will-topic <topic>', 'what the broker publishes when the connection breaks')
    .option('--will-payload <text>', 'its message')
    .option('--will-qos <qos>', 'its quality of service')
    .option('--will-retain', 'it is retained')
    .optionsGroup('TLS:')
    .option('--tls', 'use TLS with the authorities that Node knows')
    .option('--cafile <file>', 'who has signed the certificate of the broker')
    .option('--cert <file>', 'own certificate')
    .option('--key <file>', 'its private key')
    .option('--insecure', 'the certificate may be for another host')
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}

function fail(error: unknown): number {
  if (error instanceof CommandFailure) {
    console.error(`Error: ${error.message}`)
    return error.exitCode
  }
  if (!(error instanceof CommanderError)) throw error
  if (error.exitCode === 0) return 0
  const isClient = ['pub', 'sub'].includes(process.argv[2] ?? '')
  return isClient ? MOSQUITTO_USAGE_EXIT_CODE : USAGE_EXIT_CODE
}

// What was written to a pipe goes out before the end; whatever else still runs does not matter.
process.exitCode = await main().catch(fail)
if (process.stdout.writableLength === 0) process.exit()
process.stdout.once('drain', () => process.exit())
