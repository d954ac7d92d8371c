// The help of pub, sub and rr, made from the tables of their options.

import type { ClientCommand } from '../options/choice.ts'
import { optionGroups } from '../options/parse.ts'
import { paint } from '../output/paint.ts'

interface Text {
  readonly usage: string
  readonly what: string
  readonly end: string
}

const PROPERTIES = `
-D adds properties of MQTT 5, e.g. -D publish content-type text/plain, -D connect receive-maximum
10, -D publish user-property name value; the commands are connect, publish, subscribe, unsubscribe,
disconnect and will.`

const FILES = `
-o file reads options from a file, one to a line; without it ~/.config/godwit_COMMAND or
~/.config/mosquitto_COMMAND is read. The flags of the Go programs work too: -host -id -user -pass
-dump.`

const Texts: Readonly<Record<ClientCommand, Text>> = {
  pub: {
    usage: 'godwit pub [options] [url] [topic] [message]',
    what: 'Publish a message, or many.',
    end: `
Examples:
  godwit pub -t hello -m world
  godwit pub hello world
  godwit pub -L mqtts://user:secret@broker.example.com/hello -m world -q 1 -r
  tail -f log | godwit pub -t log -l -q 1
  godwit sub --json -t 'in/#' | jq -c '.topic = "out"' | godwit pub --json
  godwit pub --replay day.ndjson --speed 10x
${PROPERTIES}
${FILES}

The exit code is 0 when everything was acknowledged, that of CONNACK or of a refused message, 7 when
the connection was lost, 8 when TLS failed, else 1.`,
  },
  sub: {
    usage: 'godwit sub [options] [url] [topic...]',
    what: 'Print the messages of topics.',
    end: `
Examples:
  godwit sub -v -t '#'
  godwit sub sensors/+/temperature -C 1 -W 5
  godwit sub -t 'a/#' -F '%I %t %x'          time, topic, payload in hexadecimal
  godwit sub -t 'a/#' --json                 one line of JSON per message, nothing lost
  godwit sub -t 'a/#' --record day.ndjson    for godwit replay
  godwit sub -t '#' --remove-retained --retained-only -W 2
  godwit sub -t '#' --watch

Formats of -F: %t topic, %p payload, %x %X payload in hexadecimal, %l its length, %q QoS,
%r retained, %m packet identifier, %j JSON, %J JSON with a payload that is JSON, %I time,
%U time in seconds, %A topic alias, %C content type, %D correlation data, %E expiry,
%F payload format, %P user properties, %R response topic, %S subscription identifier,
%f float, %d double, @Y and so on as strftime, @N nanoseconds, \\n \\t \\0 \\e.
%-10t is left aligned, %10.10t exactly ten wide, %05l filled with zeros, %.2:x has a colon
between bytes.
${PROPERTIES}
${FILES}

The exit code is 0, that of CONNACK or of a refused subscription, 27 when -W ended it, else 1.`,
  },
  check: {
    usage: 'godwit check [options] [mqtt(s)|ws(s)://[user[:pw]@]host[:port] | unix:/path]',
    what: 'Find out what a broker supports, by using it.',
    end: `
Examples:
  godwit check
  godwit check mqtts://user:secret@broker.example.com
  godwit check ws://broker:8083/mqtt
  godwit check broker:1883 --json | jq .limits

It publishes to topics below godwit-check/ and leaves nothing behind. -W is how long to wait for
each answer (default: 5). The exit code is 0, or that of CONNACK, or 1 when nothing could be
reached.`,
  },
  rr: {
    usage: 'godwit rr [options] -t topic -e answers -m message',
    what: 'Publish a request and print its response.',
    end: `
Examples:
  godwit rr -t service/add -e my/answers -m '1 2' -W 5
  godwit rr -t service/add -e my/answers -m '1 2' --latency
  seq 1000 | godwit rr -t service/square -e my/answers -l --latency

Each request has its own correlation data, and only the response that brings it back is printed; a
responder that brings none back answers the oldest request.
${PROPERTIES}
${FILES}

The exit code is 0, that of CONNACK or of a refused request, 27 when -W ended it, else 1.`,
  },
}

const COLUMN = 34

export function clientHelp(command: ClientCommand): string {
  const { usage, what, end } = Texts[command]
  const groups = optionGroups(command).map(({ title, options }) => {
    const lines = options.map(({ names, value, text }) => {
      const spelled = names.filter(name => !/^-[a-z]{2}/.test(name)).join(', ')
      const left = value === null ? spelled : `${spelled} ${value}`
      const gap =
        left.length < COLUMN ? ' '.repeat(COLUMN - left.length) : `\n${' '.repeat(COLUMN + 2)}`
      return `  ${left}${gap}${text}`
    })
    return `${paint.bold(`${title}:`)}\n${lines.join('\n')}`
  })
  const last = end.replaceAll('COMMAND', command)
  return `Usage: ${usage}\n\n${what}\n\n${groups.join('\n\n')}\n${last}\n`
}
