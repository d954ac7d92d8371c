// The one list of command lines that Mosquitto's clients and ours must answer alike: standard
// output, exit code, and what the broker got, byte for byte.

import { ConnectionScripts } from './connection-scripts.ts'
import { OddScripts } from './odd-scripts.ts'
import type { Script, ScriptMessage } from './script.ts'

/** More than the client takes where nobody says otherwise. */
const LARGE_BYTES = 3 * 1024 * 1024
const BINARY = Uint8Array.from([0, 1, 0xff, 0xfe, 0x80, 0x0a, 0xc3, 0x28, 0x22, 0x5c])
const PROPERTIES = {
  payloadFormatIndicator: 1,
  messageExpiryInterval: 3600,
  contentType: 'text/plain; charset=ütf',
  responseTopic: 'answers/hère',
  correlationData: Uint8Array.from([1, 2, 0xff, 10]),
  userProperties: [
    ['name', 'wert'],
    ['name', 'zweiter'],
    ['ä', '"'],
  ],
} as const

const retained: readonly ScriptMessage[] = [
  { topic: 'r/one', payload: 'eins', retain: true },
  { topic: 'r/two', payload: 'zwei', retain: true, qos: 1 },
  { topic: 'r/leer', payload: 'drei', retain: true, qos: 2 },
]

const plain: ScriptMessage = { topic: 'a/b', payload: 'hällo' }
const rich: ScriptMessage = { topic: 'a/b', payload: 'hello', qos: 1, properties: PROPERTIES }

/** One sub that prints messages with a format. */
function format(
  name: string,
  text: string,
  messages: readonly ScriptMessage[],
  more: Partial<Script> = {},
): Script {
  return {
    name: `-F ${name}`,
    command: 'sub',
    args: ['-V', '5', '-q', '2', '-t', 'a/#', '-C', String(messages.length), '-F', text],
    after: messages,
    ...more,
  }
}

const Formats: readonly Script[] = [
  format('all that a message has', '%t|%p|%q|%r|%m|%l|%x|%X|%%', [plain, rich], { quick: true }),
  format('properties', '%A|%C|%D|%E|%F|%P|%R|%S', [plain, rich], { quick: true }),
  format('properties with widths', '[%8A][%30C][%8E][%4F][%20R][%5S]', [plain, rich]),
  format('properties, left', '[%-8A][%-30C][%-8E][%-4F][%-20R][%-5S]', [plain, rich]),
  format('numbers with zeros', '[%08E][%04F][%05l][%05m][%05S][%05A]', [plain, rich]),
  format('topics, widths', '[%10t][%-10t][%.2t][%10.2t][%-10.2t][%2t][%-2t]', [plain, rich]),
  format('types cut', '[%.4C][%10.4C][%-10.4C][%.0C]', [rich]),
  format('payloads, widths', '[%3p][%10p][%-10p][%010p][%-3p][%-p]', [plain, rich]),
  format('numbers, left with zeros', '[%-05l][%-08E]', [rich]),
  format('binary', '%p|%x|%X|%l', [{ topic: 'a', payload: BINARY }], { quick: true }),
  format('empty payloads', '%t|%p|%x|%l|%10p|%-4p|', [{ topic: 'a', payload: '' }]),
  format('escapes', 'a\\tb\\\\c\\nd\\re\\ef\\ag\\vh\\0i', [plain]),
  format('at signs', '@@ %% 100%%', [plain]),
  format('text that is not ASCII', 'grüße %t → %p', [plain]),
  format('the date', '@Y-@m-@d @j @A @a @B @b @y @C @G @u @w @D @F @h @V @U @W @g', [plain]),
  format('what strftime has no time in', '@n@t@@', [plain]),
  format('the zone', '@z @Z', [plain], { environment: { TZ: 'UTC' } }),
  {
    name: 'a format that ends too early',
    command: 'sub',
    args: ['-t', 'a', '-F', 'abc%'],
  },
  { name: 'a flag without a letter', command: 'sub', args: ['-t', 'a', '-F', '%0'] },
  { name: 'a width without a letter', command: 'sub', args: ['-t', 'a', '-F', '%-10'] },
  { name: 'a letter that means nothing', command: 'sub', args: ['-t', 'a', '-F', '%z'] },
  { name: 'an escape that means nothing', command: 'sub', args: ['-t', 'a', '-F', '\\q'] },
  { name: 'an escape that ends too early', command: 'sub', args: ['-t', 'a', '-F', 'a\\'] },
]

// Times are masked before they are compared.
const Json: readonly Script[] = [
  format('%j', '%j', [plain, rich, { topic: 'a', payload: '' }], { quick: true }),
  format('%j, qos 0, escapes', '%j', [
    { topic: 'a/"\\', payload: 'a"b\\c/d\b\f\n\r\t\x01\x1f\x7f' },
  ]),
  format('%j of bytes', '%j', [{ topic: 'a', payload: Uint8Array.from([0xff, 0xc3, 0x28, 9]) }]),
  format('%J', '%J', [
    { topic: 'a', payload: '{"a" : 1.50, "b":[1, 2,{"c":null}],"d":{},"e":[], "a":true}' },
    { topic: 'a', payload: '[]' },
    { topic: 'a', payload: '"x\\u00e4\\/\\n"' },
    { topic: 'a', payload: ' 17 ' },
    { topic: 'a', payload: '' },
  ]),
  format('%J, numbers', '%J', [
    {
      topic: 'a',
      payload:
        '[0,-0,1e3,1.5e300,0.1,0.30000000000000004,1e-7,0.00001,123456789012,1e21,-2147483648,' +
        '9007199254740993,3.141592653589793,1e15,123456789.125]',
    },
  ]),
  format('%J of what is not JSON', '%J.', [{ topic: 'a', payload: 'text' }, plain]),
  {
    name: '%j --pretty',
    command: 'sub',
    args: ['-V', '5', '-q', '1', '-t', 'a/#', '-C', '2', '-F', '%j', '--pretty'],
    after: [plain, rich],
  },
  {
    name: '%J --pretty',
    command: 'sub',
    args: ['-t', 'a/#', '-C', '2', '-F', '%J', '--pretty'],
    after: [
      { topic: 'a', payload: '{"a":1,"b":[1,{"c":{"d":[[],{}]}},[2]],"e":"f"}' },
      { topic: 'a', payload: '[1,[2,{"a":[]}]]' },
    ],
  },
]

const Subscriptions: readonly Script[] = [
  { name: 'payloads', command: 'sub', args: ['-t', 'a/b', '-C', '1'], after: [plain], quick: true },
  {
    name: 'an empty payload prints nothing',
    command: 'sub',
    args: ['-t', '#', '-C', '3'],
    after: [plain, { topic: 'a', payload: '' }, plain],
  },
  {
    name: '-v',
    command: 'sub',
    args: ['-t', '#', '-C', '3', '-v'],
    after: [plain, { topic: 'a', payload: '' }, plain],
  },
  {
    name: '-v -N',
    command: 'sub',
    args: ['-t', '#', '-C', '3', '-v', '-N'],
    after: [plain, { topic: 'a', payload: '' }, plain],
  },
  { name: '-N', command: 'sub', args: ['-t', '#', '-C', '2', '-N'], after: [plain, rich] },
  ...['311', '5'].map(
    (version): Script => ({
      name: `a large message, -V ${version}`,
      command: 'sub',
      args: ['-V', version, '-t', '#', '-C', '1', '-F', '%l'],
      after: [{ topic: 'a', payload: new Uint8Array(LARGE_BYTES) }],
      quick: true,
    }),
  ),
  {
    name: 'binary payloads as they are',
    command: 'sub',
    args: ['-t', '#', '-C', '1', '-N'],
    after: [{ topic: 'a', payload: BINARY }],
  },
  {
    name: 'several -t and -T',
    command: 'sub',
    args: ['-t', 'a/#', '-t', 'b', '-T', 'a/c', '-T', 'a/d/+', '-C', '3', '-v'],
    filters: 2,
    after: ['a/b', 'a/c', 'a/d/e', 'a/d', 'b'].map(topic => ({ topic, payload: 'x' })),
  },
  {
    name: 'a topic that two filters match',
    command: 'sub',
    args: ['-t', 'a/#', '-t', 'a/+', '-C', '2', '-v', '-q', '1'],
    filters: 2,
    after: [plain, { topic: 'a/c', payload: 'y' }],
  },
  {
    name: 'retained messages',
    command: 'sub',
    args: ['-t', 'r/one', '-C', '1', '-F', '%r %q %p'],
    before: retained,
  },
  {
    name: '-R leaves out retained messages',
    command: 'sub',
    args: ['-t', 'r/#', '-R', '-C', '1', '-v'],
    before: retained,
    after: [{ topic: 'r/new', payload: 'neu' }],
  },
  {
    name: '--retained-only ends at the first other message',
    command: 'sub',
    args: ['-t', 'r/one', '--retained-only', '-v'],
    before: retained,
    after: [{ topic: 'r/one', payload: 'neu' }],
  },
  {
    name: '--remove-retained',
    command: 'sub',
    args: ['-t', 'r/one', '-t', 'r/two', '--remove-retained', '-C', '2', '-F', '%t %p'],
    filters: 2,
    before: retained,
  },
  {
    name: '--retain-as-published',
    command: 'sub',
    args: ['-V', '5', '-t', 'a', '--retain-as-published', '-C', '1', '-F', '%r'],
    after: [{ topic: 'a', payload: 'x', retain: true }],
  },
  {
    name: '-D subscribe subscription-identifier',
    command: 'sub',
    args: ['-D', 'subscribe', 'subscription-identifier', '42', '-t', 'a', '-C', '1', '-F', '%S'],
    after: [{ topic: 'a', payload: 'x' }],
  },
  { name: '-E', command: 'sub', args: ['-t', 'a', '-t', 'b', '-E'], quick: true },
  { name: '-t and -U', command: 'sub', args: ['-t', 'a', '-U', 'b', '-W', '1'] },
  { name: '-W', command: 'sub', args: ['-t', 'a', '-W', '1'], quick: true, comparesErrors: true },
  {
    name: '-W after messages',
    command: 'sub',
    args: ['-t', 'a/#', '-W', '1', '-C', '5'],
    after: [plain, plain],
  },
  {
    name: '-V 31',
    command: 'sub',
    args: ['-V', 'mqttv31', '-i', 'x', '-t', 'a/#', '-C', '1'],
    after: [plain],
  },
  {
    name: 'wrong password, MQTT 3.1.1',
    command: 'sub',
    args: ['-t', 'a', '-u', 'joe', '-P', 'no'],
    quick: true,
  },
  {
    name: 'wrong password, MQTT 5',
    command: 'sub',
    args: ['-V', '5', '-t', 'a', '-u', 'joe', '-P', 'no'],
  },
  { name: 'right password', command: 'sub', args: ['-t', 'a', '-u', 'joe', '-P', 'secret', '-E'] },
  { name: 'nobody listens', command: 'sub', args: ['-t', 'a'], nobodyListens: true },
  {
    name: 'some filters are refused',
    command: 'sub',
    args: ['-t', 'no/a', '-t', 'a', '-E'],
    filters: 1,
  },
  { name: 'no topic', command: 'sub', args: [] },
  { name: 'a filter that is none', command: 'sub', args: ['-t', 'a/#/b'] },
  { name: '-C 0', command: 'sub', args: ['-t', 'a', '-C', '0'] },
  { name: '-W 0', command: 'sub', args: ['-t', 'a', '-W', '0'] },
  { name: '-q 3', command: 'sub', args: ['-t', 'a', '-q', '3'] },
  { name: '-q of nothing', command: 'sub', args: ['-t', 'a', '-q'] },
  { name: '-k 4', command: 'sub', args: ['-t', 'a', '-k', '4'] },
  { name: '-R --retained-only', command: 'sub', args: ['-t', 'a', '-R', '--retained-only'] },
  { name: '-c without -i', command: 'sub', args: ['-t', 'a', '-c'] },
  { name: '-i and -I', command: 'sub', args: ['-t', 'a', '-i', 'a', '-I', 'b'] },
  { name: '-m, which sub has not', command: 'sub', args: ['-t', 'a', '-m', 'x'] },
  { name: 'a will without a topic', command: 'sub', args: ['-t', 'a', '--will-payload', 'x'] },
  { name: '-V 4', command: 'sub', args: ['-t', 'a', '-V', '4'] },
  {
    name: '-D of too little',
    command: 'sub',
    args: ['-t', 'a', '-D', 'connect', 'receive-maximum'],
  },
  {
    name: '-D of an unknown command',
    command: 'sub',
    args: ['-t', 'a', '-D', 'x', 'receive-maximum', '1'],
  },
  {
    name: '-D of an unknown property',
    command: 'sub',
    args: ['-t', 'a', '-D', 'connect', 'x', '1'],
  },
  {
    name: '-D of the wrong command',
    command: 'sub',
    args: ['-t', 'a', '-D', 'subscribe', 'receive-maximum', '1'],
  },
  {
    name: '-D of too much',
    command: 'sub',
    args: ['-t', 'a', '-D', 'connect', 'receive-maximum', '65536'],
  },
  { name: '-x of no number', command: 'sub', args: ['-t', 'a', '-x', '1a'] },
]

const Publishing: readonly Script[] = [
  { name: '-m', command: 'pub', args: ['-t', 'a/b', '-m', 'hällo'], quick: true },
  ...['0', '1', '2'].flatMap(qos =>
    ['31', '311', '5'].map(
      (version): Script => ({
        name: `-q ${qos} -V ${version} -r`,
        command: 'pub',
        args: ['-V', version, '-q', qos, '-i', 'id', '-r', '-t', 'a', '-m', 'x'],
      }),
    ),
  ),
  { name: 'a message that looks like an option', command: 'pub', args: ['-t', 'a', '-m', '-m'] },
  { name: 'the last -t counts', command: 'pub', args: ['-t', 'a', '-t', 'b', '-m', 'x'] },
  { name: '-n', command: 'pub', args: ['-t', 'a', '-n', '-r'] },
  {
    name: '-f',
    command: 'pub',
    args: ['-t', 'a', '-f', '{dir}/file'],
    files: { file: 'two\nlines\n' },
  },
  {
    name: '-f of an empty file',
    command: 'pub',
    args: ['-t', 'a', '-f', '{dir}/file'],
    files: { file: '' },
  },
  { name: '-f of no file', command: 'pub', args: ['-t', 'a', '-f', '{dir}/nothing'] },
  { name: '-s', command: 'pub', args: ['-t', 'a', '-s'], stdin: BINARY },
  { name: '-s of nothing', command: 'pub', args: ['-t', 'a', '-s'], stdin: '' },
  {
    name: '-l',
    command: 'pub',
    args: ['-t', 'a', '-l'],
    stdin: 'eins\nzwei\n\nvier\r\n',
    quick: true,
  },
  {
    name: '-l without a last newline',
    command: 'pub',
    args: ['-t', 'a', '-l', '-q', '1'],
    stdin: 'a\nb',
  },
  { name: '-l of nothing', command: 'pub', args: ['-t', 'a', '-l'], stdin: '' },
  {
    name: '-l of many lines',
    command: 'pub',
    args: ['-t', 'a', '-l', '-q', '2'],
    stdin: numbers(200),
  },
  { name: '--repeat', command: 'pub', args: ['-t', 'a', '-m', 'x', '--repeat', '3', '-q', '1'] },
  { name: '--repeat 0', command: 'pub', args: ['-t', 'a', '-m', 'x', '--repeat', '0'] },
  {
    name: 'all properties of a message',
    command: 'pub',
    args: [
      ...['-t', 'a', '-m', 'x', '-q', '1'],
      ...['-D', 'publish', 'payload-format-indicator', '1'],
      ...['-D', 'PUBLISH', 'message-expiry-interval', '100'],
      ...['-D', 'publish', 'content-type', 'text/x'],
      ...['-D', 'publish', 'response-topic', 'b'],
      ...['-D', 'publish', 'correlation-data', 'xyz'],
      ...['-D', 'publish', 'user-property', 'a', 'b'],
      ...['--property', 'publish', 'user-property', 'a', 'c'],
    ],
    quick: true,
  },
  {
    name: '--id and -u',
    command: 'pub',
    args: ['--id', 'me', '-u', 'joe', '-P', 'secret', '-t', 'a', '-m', 'x'],
  },
  { name: '-L', command: 'pub', args: ['-L', 'mqtt://joe:secret@127.0.0.1:{port}/a/b', '-m', 'x'] },
  { name: '-L without a topic', command: 'pub', args: ['-L', 'mqtt://127.0.0.1', '-m', 'x'] },
  { name: '-L of another kind', command: 'pub', args: ['-L', 'http://127.0.0.1/a', '-m', 'x'] },
  { name: 'wrong password', command: 'pub', args: ['-t', 'a', '-m', 'x', '-u', 'joe', '-P', 'no'] },
  {
    name: 'wrong password, MQTT 5',
    command: 'pub',
    args: ['-V', '5', '-t', 'a', '-m', 'x', '-u', 'joe'],
  },
  {
    name: '-l with a wrong password',
    command: 'pub',
    args: ['-t', 'a', '-l', '-u', 'joe'],
    stdin: 'a\n',
  },
  {
    name: 'nobody listens',
    command: 'pub',
    args: ['-t', 'a', '-m', 'x'],
    nobodyListens: true,
    quick: true,
  },
  {
    name: '--quiet, nobody listens',
    command: 'pub',
    args: ['--quiet', '-t', 'a', '-m', 'x'],
    nobodyListens: true,
    comparesErrors: true,
  },
  {
    name: 'no host of that name',
    command: 'pub',
    args: ['-h', 'nowhere.invalid', '-t', 'a', '-m', 'x'],
  },
  { name: 'no topic', command: 'pub', args: ['-m', 'x'], comparesOutput: false },
  { name: 'no message', command: 'pub', args: ['-t', 'a'], comparesOutput: false },
  { name: 'two messages', command: 'pub', args: ['-t', 'a', '-m', 'x', '-n'] },
  { name: 'a topic with a wildcard', command: 'pub', args: ['-t', 'a/+', '-m', 'x'] },
  { name: 'a port that is none', command: 'pub', args: ['-p', '65536', '-t', 'a', '-m', 'x'] },
  { name: 'an option that is none', command: 'pub', args: ['-t', 'a', '-m', 'x', '-Z'] },
  { name: 'short options do not combine', command: 'pub', args: ['-t', 'a', '-m', 'x', '-q1'] },
  { name: '-W, which pub has not', command: 'pub', args: ['-t', 'a', '-m', 'x', '-W', '1'] },
  { name: '--cert without --key', command: 'pub', args: ['-t', 'a', '-m', 'x', '--cert', 'x'] },
  {
    name: '--cafile of no file',
    command: 'pub',
    args: ['-t', 'a', '-m', 'x', '--cafile', '{dir}/no'],
  },
  {
    name: '--psk without --psk-identity',
    command: 'pub',
    args: ['-t', 'a', '-m', 'x', '--psk', 'ab'],
  },
  { name: '-M 0', command: 'pub', args: ['-t', 'a', '-m', 'x', '-M', '0'] },
  {
    name: 'a will topic with a wildcard',
    command: 'pub',
    args: ['-t', 'a', '-m', 'x', '--will-topic', '#'],
  },
  {
    name: '--will-qos 3',
    command: 'pub',
    args: ['-t', 'a', '-m', 'x', '--will-topic', 'w', '--will-qos', '3'],
  },
  {
    name: 'options of the user, which the command line overrides',
    command: 'pub',
    args: ['-m', 'x', '-q', '1'],
    files: { mosquitto_pub: '# mine\n-t of/the file\n\n-q 2\n-r\n' },
    environment: { XDG_CONFIG_HOME: '{dir}' },
    quick: true,
  },
]

const Requests: readonly Script[] = [
  {
    name: 'a response',
    command: 'rr',
    args: ['-t', 'service/echo', '-e', 'me', '-m', 'ping'],
    quick: true,
  },
  {
    name: 'a response, MQTT 3.1.1',
    command: 'rr',
    args: ['-V', '311', '-t', 'service/to/me', '-e', 'me', '-m', 'ping'],
  },
  {
    name: '-v, -q 1',
    command: 'rr',
    args: ['-q', '1', '-v', '-t', 'service/echo', '-e', 'me', '-m', 'x'],
  },
  {
    name: '-F',
    command: 'rr',
    args: ['-t', 'service/echo', '-e', 'me', '-m', 'x', '-F', '%t %q %p'],
  },
  { name: '-n', command: 'rr', args: ['-t', 'service/echo', '-e', 'me', '-n', '-v'] },
  {
    name: '-W',
    command: 'rr',
    args: ['-t', 'nobody', '-e', 'me', '-m', 'x', '-W', '1'],
    comparesErrors: true,
  },
  { name: 'no response topic', command: 'rr', args: ['-t', 'a', '-m', 'x'] },
  { name: 'no topic', command: 'rr', args: ['-e', 'a', '-m', 'x'] },
  { name: 'no message', command: 'rr', args: ['-e', 'a', '-t', 'x'] },
  {
    name: 'a response topic with a wildcard',
    command: 'rr',
    args: ['-e', '#', '-t', 'x', '-m', 'x'],
  },
  {
    name: 'wrong password',
    command: 'rr',
    args: ['-t', 'a', '-e', 'b', '-m', 'x', '-u', 'joe', '-P', 'no'],
  },
]

const WILL = ['--will-topic', 'w', '--will-payload', 'gone', '--will-qos', '1', '--will-retain']

const MoreRequests: readonly Script[] = [
  { name: '-N', command: 'rr', args: ['-t', 'service/echo', '-e', 'me', '-m', 'x', '-N'] },
  {
    name: '-L, -k',
    command: 'rr',
    args: ['-L', 'mqtt://127.0.0.1:{port}/service/echo', ...['-e', 'me', '-m', 'x'], '-k', '9'],
  },
  {
    name: 'properties of the request',
    command: 'rr',
    args: [
      ...['-t', 'service/echo', '-e', 'me', '-m', 'x', '-i', 'me', '-u', 'joe', '-P', 'secret'],
      ...['-D', 'publish', 'content-type', 'a/b', ...WILL],
    ],
  },
  {
    name: '-I, -A, -c, -M, --nodelay, --quiet',
    command: 'rr',
    args: [
      ...['-V', '311', '-i', 'me', '-c', '-M', '9', '-A', '127.0.0.1', '--nodelay', '--quiet'],
      ...['-t', 'service/to/me', '-e', 'me', '-m', 'x'],
    ],
  },
]

function numbers(count: number): string {
  return Array.from({ length: count }, (_, i) => `${i}\n`).join('')
}

export const Scripts: readonly Script[] = [
  ...Formats,
  ...Json,
  ...Subscriptions,
  ...Publishing,
  ...Requests,
  ...MoreRequests,
  ...ConnectionScripts,
  ...OddScripts,
]
