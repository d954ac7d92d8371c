// The command `godwit`: which command it is, its options, and what its failure looks like. What a
// command needs is loaded when it runs, so that --help is quick.

import { VERSION } from '@godwit/broker/version'
import { Command } from 'commander'
import { addClientOptions } from './connection-options.ts'
import { CommandFailure, USAGE } from './failure.ts'
import { withLegacyFlags } from './legacy-flags.ts'
import type { PubFlags } from './pub.ts'
import { LIMIT_FLAGS, type ServeFlags } from './serve-flags.ts'
import type { SubFlags } from './sub.ts'

const FAILED = 1

function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}

function serveCommand(): Command {
  const command = new Command('serve')
    .description('run a broker')
    .option('--config <file>', 'configuration file (YAML)')
    .option('--check', 'check the configuration and end')
    .option('--addr <host:port>', 'where to listen, as one word')
    .option('--host <host>', 'address to listen on (default: 127.0.0.1, this machine only)')
    .option('--port <port>', 'MQTT (default: 1883)')
    .option('--tls-cert <file>', 'TLS: certificate')
    .option('--tls-key <file>', 'TLS: key')
    .option('--tls-ca <file>', 'TLS: who signs the certificates of clients')
    .option('--tls-crl <file>', 'TLS: revoked certificates')
    .option('--tls-client <when>', 'TLS: certificate of the client: none, optional, required')
    .option('--tls-port <port>', 'MQTT over TLS (default: 8883)')
    .option('--ws-port <port>', 'MQTT over WebSocket')
    .option('--wss-port <port>', 'MQTT over secure WebSocket')
    .option('--ws-path <path>', 'path of WebSocket (default: /mqtt)')
    .option('--ws-origin <url>', 'web pages that may connect; may be repeated', collect)
    .option('--unix <path>', 'Unix socket')
    .option('--unix-mode <octal>', 'rights of the Unix socket')
    .option('--proxy-protocol', 'every connection begins with a PROXY header')
    .option('--data <where>', 'none: everything in memory')
    .option('--dump', 'one line per packet')
    .option('--stats-interval <seconds>', 'how often $SYS is published; 0: never (default: 10)')
    .option('--node-name <name>', 'name of this broker')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent')
    .option('--json', 'log JSON lines, even on a terminal')
    .option('--drain <time>', 'how long clients may take to go at the end (default: 5s)')
  for (const { flags, text } of LIMIT_FLAGS) command.option(flags, `limit: ${text}`)
  command.action(async (flags: ServeFlags) => {
    const { serve } = await import('./serve.ts')
    process.exitCode = await serve(flags)
  })
  return command.addHelpText(
    'after',
    `
Examples:
  godwit serve                                    this machine only, port 1883
  godwit serve --host 0.0.0.0                     the whole network
  godwit serve --tls-cert c.pem --tls-key k.pem   TLS on port 8883
  godwit serve --config godwit.yaml --check       say what is wrong with a configuration`,
  )
}

function pubCommand(): Command {
  const command = new Command('pub')
    .description('publish messages')
    .argument('[topic]')
    .argument('[message]')
  return addClientOptions(command)
    .option('-t, --topic <topic>', 'topic')
    .option('-m, --message <text>', 'message')
    .option('-f, --file <file>', 'message: content of a file')
    .option('-l, --stdin-line', 'messages: lines of standard input')
    .option('-s, --stdin-file', 'message: all of standard input')
    .option('-n, --null-message', 'an empty message')
    .option('-r, --retain', 'retained')
    .option('--wait', 'stay connected')
    .action(async (topic: string | undefined, message: string | undefined, flags: PubFlags) => {
      const { pub } = await import('./pub.ts')
      process.exitCode = await pub(flags, topic, message)
    })
    .addHelpText(
      'after',
      `
Examples:
  godwit pub -t hello -m world            one message
  godwit pub -q 1 -r -t state -m on       QoS 1, retained
  tail -f log | godwit pub -t log -l      a message per line`,
    )
}

function subCommand(): Command {
  const command = new Command('sub').description('print messages').argument('[filters...]')
  return addClientOptions(command)
    .option('-t, --topic <filter>', 'topic filter; may be repeated', collect)
    .option('-v, --verbose', 'print topics too')
    .option('-C, --count <n>', 'end after so many messages')
    .option('-W, --timeout <seconds>', 'end after so long, with exit code 27')
    .option('-N, --no-eol', 'print no end of line')
    .option('-R, --no-retained', 'print no retained messages')
    .option('--retained-only', 'print retained messages only')
    .option('-T, --filter-out <filter>', 'print no messages of these topics', collect)
    .option('-E, --exit-after-subscribe', 'end when the subscription is made')
    .action(
      async (filters: string[], options: SubFlags & { eol?: boolean; retained?: boolean }) => {
        const { sub } = await import('./sub.ts')
        // commander reads --no-eol as eol: false
        const { eol, retained, ...flags } = options
        const noEol = eol === false
        const noRetained = retained === false
        process.exitCode = await sub({ ...flags, noEol, noRetained }, filters)
      },
    )
    .addHelpText(
      'after',
      `
Examples:
  godwit sub -v '#'                       everything, with topics
  godwit sub -t 'site/+/door' -C 1 -W 5   one message, within five seconds`,
    )
}

/** Runs the command line. Failures are printed and become the exit code. */
async function main(args: readonly string[]): Promise<void> {
  const program = new Command('godwit')
    .description('MQTT broker, publisher and subscriber')
    .version(VERSION)
    .addCommand(serveCommand())
    .addCommand(pubCommand())
    .addCommand(subCommand())
  try {
    await program.parseAsync(withLegacyFlags(args), { from: 'user' })
  } catch (error) {
    const quiet = args.includes('--quiet')
    const text = error instanceof Error ? error.message : String(error)
    if (!quiet) process.stderr.write(`Error: ${text}\n`)
    process.exitCode = error instanceof CommandFailure ? error.exitCode : FAILED
    if (process.exitCode === 0) process.exitCode = USAGE
  }
}

await main(process.argv.slice(2))
