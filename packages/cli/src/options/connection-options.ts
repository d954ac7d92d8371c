// The options of pub, sub and rr about the connection, with Mosquitto's letters. Those that only
// Godwit has are in it too; the single-dash words are the flags of the Go programs.

import { usage } from '../failure.ts'
import { type ClientChoice, NOT_SET } from './choice.ts'
import {
  ALL,
  CLIENTS,
  leadingInteger,
  type OptionGroup,
  option,
  qosOf,
  topicName,
  WRONG,
  wholeNumber,
} from './option.ts'
import { applyProxy, applyUrl, webSocketPath } from './url.ts'

const UINT16_MAX = 65_535
const UINT32_MAX = 0xffff_ffff
const KEEP_ALIVE_SECONDS_MIN = 5

export const ConnectionOptions: readonly OptionGroup[] = [
  {
    title: 'Connection',
    options: [
      option(ALL, '-h --host -host', '<host>', 'broker (default: localhost)', applyHost),
      option(ALL, '-p --port', '<port>', 'default: 1883, with TLS 8883', (choice, value) => {
        if (!/^\d+$/.test(value)) usage(`-p takes a port, not ${JSON.stringify(value)}`, WRONG)
        choice.port = wholeNumber('-p', value, 0, UINT16_MAX)
      }),
      option(ALL, '-L --url', '<url>', 'mqtt(s)|ws(s)://[user[:pw]@]host[:port]/topic', applyUrl),
      option(ALL, '--unix', '<path>', 'a Unix socket instead', (choice, value) => {
        choice.unix = value
      }),
      option(ALL, '--ws', null, 'connect with WebSockets', choice => {
        choice.webSocket = true
      }),
      option(ALL, '--ws-path', '<path>', 'where they are (default: /mqtt)', (choice, value) => {
        choice.webSocket = true
        choice.webSocketPath = webSocketPath(value)
      }),
      option(ALL, '-A', '<address>', 'address of this machine to connect from', (choice, value) => {
        choice.bindAddress = value
      }),
      option(ALL, '-S', null, 'look the broker up in SRV records', choice => {
        choice.srv = true
      }),
      option(ALL, '--proxy', '<url>', 'socks5h://[user[:pw]@]host[:port]', applyProxy),
      option(ALL, '--nodelay', null, 'accepted: small packets never wait', () => undefined),
    ],
  },
  {
    title: 'Who you are',
    options: [
      option(
        CLIENTS,
        '-i --id -id',
        '<id>',
        'client id (default: a random one)',
        (choice, value) => {
          if (choice.idPrefix !== null) bothIds()
          if (value === '') usage('Invalid id: -i takes one, none is without -i.', WRONG)
          choice.id = value
        },
      ),
      option(
        CLIENTS,
        '-I --id-prefix',
        '<prefix>',
        'client id: this and the pid',
        (choice, value) => {
          if (choice.id !== null) bothIds()
          choice.idPrefix = value
        },
      ),
      option(ALL, '-u --username --user -user', '<name>', 'user name', (choice, value) => {
        choice.username = value
      }),
      option(ALL, '-P --pw --pass -pass', '<password>', 'password', (choice, value) => {
        choice.password = value
      }),
      option(ALL, '--pw-env', '<name>', 'password in an environment variable', (choice, value) => {
        choice.passwordPlace = { kind: 'environment', name: value }
      }),
      option(
        ALL,
        '--pw-file',
        '<file>',
        'password on the first line of a file',
        (choice, value) => {
          choice.passwordPlace = { kind: 'file', path: value }
        },
      ),
      option(ALL, '--pw-ask', null, 'password typed at the terminal', choice => {
        choice.passwordPlace = { kind: 'prompt' }
      }),
    ],
  },
  {
    title: 'Session',
    options: [
      option(
        CLIENTS,
        '-V --protocol-version',
        '<version>',
        'mqttv5, mqttv311 or mqttv31 (default: 311; JSON, rr: 5)',
        applyVersion,
      ),
      option(
        CLIENTS,
        '-k --keepalive',
        '<seconds>',
        'keep alive (default: 60)',
        (choice, value) => {
          choice.keepAliveSeconds = wholeNumber('-k', value, KEEP_ALIVE_SECONDS_MIN, UINT16_MAX)
        },
      ),
      option(CLIENTS, '-c --disable-clean-session', null, 'keep the session; needs -i', choice => {
        choice.cleanSession = false
      }),
      option(CLIENTS, '-x', '<seconds>', 'how long it is kept, -1 for ever; MQTT 5', applyExpiry),
      option(CLIENTS, '-M', '<n>', 'unacknowledged messages (default: 20)', (choice, value) => {
        choice.inflightMax = Math.min(
          wholeNumber('-M', value, 1, Number.MAX_SAFE_INTEGER),
          UINT16_MAX,
        )
      }),
    ],
  },
  {
    title: 'Will: what the broker publishes when the connection breaks',
    options: [
      option(CLIENTS, '--will-topic', '<topic>', 'where to', (choice, value) => {
        choice.willTopic = topicName('will', value)
      }),
      option(
        CLIENTS,
        '--will-payload',
        '<text>',
        'its message (default: empty)',
        (choice, value) => {
          choice.willPayload = value
        },
      ),
      option(CLIENTS, '--will-qos', '<qos>', '0, 1 or 2 (default: 0)', (choice, value) => {
        choice.willQos = qosOf('--will-qos', value)
      }),
      option(CLIENTS, '--will-retain', null, 'it is retained', choice => {
        choice.willRetain = true
      }),
    ],
  },
  {
    title: 'TLS',
    options: [
      option(ALL, '--tls', null, 'use TLS, as with mqtts://', choice => {
        choice.tls = true
      }),
      option(ALL, '--no-tls', null, 'use none, even on port 8883', choice => {
        choice.noTls = true
      }),
      option(ALL, '--cafile', '<file>', 'certificates that are trusted, PEM', (choice, value) => {
        choice.cafile = value
      }),
      option(ALL, '--capath', '<folder>', 'a folder of such certificates', (choice, value) => {
        choice.capath = value
      }),
      option(ALL, '--tls-use-os-certs', null, "trust the system's certificates", choice => {
        choice.tlsUseOsCerts = true
      }),
      option(ALL, '--cert', '<file>', 'own certificate, PEM', (choice, value) => {
        choice.cert = value
      }),
      option(ALL, '--key', '<file>', 'its private key, PEM', (choice, value) => {
        choice.key = value
      }),
      option(ALL, '--keyform', '<form>', 'of --key: pem', (choice, value) => {
        if (value !== 'pem') usage(`--keyform takes pem, not ${value}: engines are gone`, WRONG)
        choice.keyform = value
      }),
      option(ALL, '--insecure', null, 'the certificate may be for another host', choice => {
        choice.insecure = true
      }),
      option(ALL, '--ciphers', '<list>', "ciphers, in OpenSSL's words", (choice, value) => {
        choice.ciphers = value
      }),
      option(ALL, '--tls-version', '<version>', 'tlsv1.2 or tlsv1.3, at least', (choice, value) => {
        if (!['tlsv1.1', 'tlsv1.2', 'tlsv1.3'].includes(value)) {
          usage(`--tls-version takes tlsv1.2 or tlsv1.3, not ${value}`, WRONG)
        }
        choice.tlsVersion = value
      }),
      option(ALL, '--tls-alpn', '<protocol>', 'protocol to ask for, e.g. mqtt', (choice, value) => {
        choice.tlsAlpn = value
      }),
      option(ALL, '--tls-keylog', '<file>', 'where to log keys for Wireshark', (choice, value) => {
        choice.tlsKeylog = value
      }),
      option(ALL, '--psk', '<hex>', 'pre-shared key', (choice, value) => {
        if (!/^(?:[0-9a-f]{2})+$/i.test(value)) usage('--psk takes a key in hexadecimal', WRONG)
        choice.psk = value
      }),
      option(ALL, '--psk-identity', '<name>', 'whose key it is', (choice, value) => {
        choice.pskIdentity = value
      }),
    ],
  },
]

function bothIds(): never {
  return usage('-i and -I argument cannot be used together.', WRONG)
}

/**
 * `-host host:port` is how the Go programs took it, and no host has a colon but an IPv6 address.
 */
function applyHost(choice: ClientChoice, value: string): void {
  if (value === '') usage('-h takes a host, not ""', WRONG)
  const [, host, port] = /^([^:]*):(\d+)$/.exec(value) ?? []
  choice.host = host === undefined ? value.replace(/^\[(.*)\]$/, '$1') : host || 'localhost'
  if (port !== undefined) choice.port = wholeNumber('-h', port, 0, UINT16_MAX)
}

function applyVersion(choice: ClientChoice, value: string): void {
  const version = value.replace(/^mqttv/, '')
  choice.versionGiven = true
  if (version === '5') choice.level = 5
  else if (version === '311') choice.level = 4
  else if (version === '31') choice.level = 3
  else usage(`-V takes mqttv5, mqttv311 or mqttv31, not ${JSON.stringify(value)}`, WRONG)
}

function applyExpiry(choice: ClientChoice, value: string): void {
  choice.level = 5
  choice.versionGiven = true
  if (value === '∞' || value === '-1') {
    choice.sessionExpirySeconds = UINT32_MAX
    return
  }
  const seconds = /^\d+$/.test(value) ? leadingInteger(value) : NOT_SET
  if (seconds < 0 || seconds > UINT32_MAX) {
    usage(`-x takes seconds up to ${UINT32_MAX}, -1 or ∞, not ${JSON.stringify(value)}`, WRONG)
  }
  choice.sessionExpirySeconds = seconds
}
