// Command lines about the connection: what CONNECT and its companions carry, TLS, other ways to the
// broker. They are part of the list in scripts.ts.

import type { Script, ScriptMessage } from './script.ts'

const plain: ScriptMessage = { topic: 'a/b', payload: 'hällo' }

const ENDS = {
  pub: ['-t', 'a', '-m', 'x'],
  sub: ['-E', '-t', 'a'],
  rr: ['-t', 'service/echo', '-e', 'me', '-m', 'x'],
} as const

/** What CONNECT and its companions carry; `-i` and `-V` because the defaults of ids differ. */
function packets(name: string, command: Script['command'], ...args: readonly string[]): Script {
  const end = ENDS[command]
  const id = args.includes('-I') ? [] : ['-i', 'me']
  return { name, command, args: [...id, ...args, ...end], comparesPackets: true }
}

const WILL = ['--will-topic', 'w', '--will-payload', 'gone', '--will-qos', '1', '--will-retain']

const Packets: readonly Script[] = (['pub', 'sub'] as const).flatMap(command => [
  packets('-V 311', command, '-V', '311'),
  packets('-V 5', command, '-V', '5'),
  packets('-k', command, '-k', '77'),
  packets('-c', command, '-c'),
  packets('-c -V 5', command, '-V', '5', '-c'),
  packets('-x', command, '-V', '5', '-c', '-x', '100'),
  packets('-u and -P', command, '-u', 'joe', '-P', 'secret'),
  packets('a will', command, ...WILL),
  packets('a will without a payload', command, '--will-topic', 'w'),
  packets(
    'properties of a will',
    command,
    ...['-V', '5', ...WILL],
    ...['-D', 'will', 'will-delay-interval', '5', '-D', 'will', 'content-type', 'text/x'],
  ),
  packets(
    'properties of CONNECT and DISCONNECT',
    command,
    ...['-V', '5', '-D', 'connect', 'receive-maximum', '7'],
    ...['-D', 'connect', 'user-property', 'a', 'b', '-D', 'connect', 'topic-alias-maximum', '3'],
    ...['-D', 'disconnect', 'user-property', 'c', 'd'],
  ),
  packets('-M', command, '-M', '5'),
  packets('-A', command, '-A', '127.0.0.1'),
  packets('--nodelay', command, '--nodelay'),
  packets('--quiet', command, '--quiet'),
])

const Subscribing: readonly Script[] = [
  packets('-q 2', 'sub', '-q', '2'),
  packets('--retain-as-published', 'sub', '-V', '5', '--retain-as-published'),
  packets('-R asks for no retained messages in MQTT 5', 'sub', '-V', '5', '-R'),
  packets(
    'properties of SUBSCRIBE',
    'sub',
    ...['-V', '5', '-D', 'subscribe', 'subscription-identifier', '9'],
    ...['-D', 'subscribe', 'user-property', 'a', 'b'],
  ),
  {
    name: '--repeat-delay',
    command: 'pub',
    args: ['-t', 'a', '-m', 'x', '--repeat', '2', '--repeat-delay', '0.05', '-q', '1'],
  },
  { name: '-h and -p', command: 'sub', args: ['-h', '127.0.0.1', '-p', '{port}', '-t', 'a', '-E'] },
  {
    name: '-L',
    command: 'sub',
    args: ['-L', 'mqtt://joe:secret@127.0.0.1:{port}/a/+', '-C', '1', '-v'],
    after: [plain],
  },
]

const TO_TLS = ['-h', 'localhost', '-p', '{port}']
const TRUSTED = [...TO_TLS, '--cafile', '{dir}/ca.pem']
const OWN = ['--cert', '{dir}/client.crt', '--key', '{dir}/client.key']

const Encrypted: readonly Script[] = (['pub', 'sub', 'rr'] as const).flatMap(command => {
  const end = ENDS[command]
  const script = (name: string, listener: Script['listener'], ...args: string[]): Script => ({
    name,
    command,
    args: [...args, ...end],
    ...(listener === undefined ? {} : { listener }),
  })
  return [
    script('--cafile', 'tls', ...TRUSTED),
    script('--tls-version', 'tls', ...TRUSTED, '--tls-version', 'tlsv1.2'),
    script('--tls-version of nothing', 'tls', ...TRUSTED, '--tls-version', 'tlsv1.5'),
    script('--tls-alpn', 'tls', ...TRUSTED, '--tls-alpn', 'mqtt'),
    script('--ciphers', 'tls', ...TRUSTED, '--ciphers', 'ECDHE-ECDSA-AES128-GCM-SHA256'),
    script('--ciphers of nothing', 'tls', ...TRUSTED, '--ciphers', 'nonsense'),
    script('--cafile without a certificate', 'tls', ...TO_TLS, '--cafile', '{dir}/client.key'),
    script('--insecure', 'tls', ...TRUSTED, '-h', '127.0.0.2', '--insecure'),
    script('--cert and --key', 'mutual', ...TRUSTED, ...OWN, '--keyform', 'pem'),
    script('--keyform without --key', 'tls', ...TRUSTED, '--keyform', 'pem'),
    script('a key that is another', 'mutual', ...TRUSTED, ...OWN, '--key', '{dir}/other.key'),
    script('--psk', 'psk', ...TO_TLS, '-q', '1', '--psk', '0123abcd', '--psk-identity', 'me'),
    script('--psk and --cafile', 'tls', ...TRUSTED, '--psk', 'ab', '--psk-identity', 'me'),
    script('--unix', 'unix', '--unix', '{dir}/socket'),
    script('--unix of nothing', undefined, '--unix', '{dir}/socket'),
    script('-L of mqtts', 'tls', '-L', 'mqtts://localhost:{port}/b', '--cafile', '{dir}/ca.pem'),
  ]
})

export const ConnectionScripts: readonly Script[] = [...Packets, ...Subscribing, ...Encrypted]
