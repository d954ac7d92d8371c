// Command lines as scripts have them by accident or out of cunning: empty values, options twice,
// lines that end oddly, values that are no numbers, options that do not go together.

import type { Script, ScriptMessage } from './script.ts'

const X: readonly ScriptMessage[] = [{ topic: 'a', payload: 'x' }]
const KEPT: readonly ScriptMessage[] = [{ topic: 'r/a', payload: '1', retain: true }]

/** A name is the command line itself, unless it says too little. */
function odd(command: Script['command'], line: string, more: Partial<Script> = {}): Script {
  const words = line.split(' ').map(word => (word === "''" ? '' : word))
  const at = command === 'rr' ? ['-t', 'service/echo', '-e', 'me'] : ['-t', 'a']
  return { name: line, command, args: [...at, ...words], ...more }
}

/** What the user's own file has in it. */
function kept(name: string, text: string, more: Partial<Script> = {}): Script {
  const files = { mosquitto_pub: text }
  return {
    name,
    command: 'pub',
    args: [],
    files,
    environment: { XDG_CONFIG_HOME: '{dir}' },
    ...more,
  }
}

const Sources: readonly Script[] = [
  odd('pub', "-m '' -r -q 1", { quick: true }),
  odd('pub', '-n -q 2'),
  odd('pub', '-n -n'),
  odd('pub', '-m x -m y'),
  odd('pub', '-s -l', { stdin: 'x\ny\n' }),
  odd('pub', '-l -l', { stdin: 'x\ny\n' }),
  odd('pub', '-f -', { stdin: 'x', name: '-f - is a file of that name' }),
  odd('pub', '-f /dev/null'),
  odd('pub', '-f {dir}', { name: '-f of a folder' }),
  odd('pub', "-f ''"),
  odd('pub', '-l', { stdin: 'a\r\nb\r\n\r\nc', name: '-l with CR, without a last newline' }),
  odd('pub', '-l', { stdin: '\n\n\n', name: '-l of empty lines' }),
  odd('pub', '-l -q 1', {
    stdin: `${'x'.repeat(5000)}\n${'y'.repeat(1024)}\n${'z'.repeat(1023)}`,
    name: '-l of long lines',
  }),
  odd('pub', '-l -r -q 2 -V 5', { stdin: '1\n2' }),
  odd('pub', '-l --repeat 3', { stdin: '1\n2\n' }),
  odd('pub', '-s --repeat 2', { stdin: '1\n2\n' }),
  odd('pub', '-n --repeat 2'),
  odd('pub', '-m x --repeat 2 --repeat 4'),
  odd('pub', '-m x --repeat 2.5'),
  odd('pub', '-m x --repeat -1'),
  odd('pub', '-m x --repeat'),
  odd('pub', '-m x --repeat-delay 0.1 --repeat 2'),
  odd('pub', '-m x --repeat-delay -1'),
  odd('pub', '-m x --repeat-delay x --repeat 2'),
  odd('pub', '-m --', { name: '-m of two dashes' }),
]

const Values: readonly Script[] = [
  odd('pub', "-m x -i ''", { quick: true }),
  odd('pub', "-m x -i '' -c"),
  odd('pub', "-m x -i '' -V 31"),
  odd('pub', "-m x -h ''"),
  odd('sub', "-E -h ''"),
  odd('pub', '-m x -i a -i b', { comparesPackets: true }),
  odd('pub', `-m x -i ${'i'.repeat(30)}`, { name: 'an id of 30', comparesPackets: true }),
  odd('pub', "-m x -u '' -P '' -i me", { comparesPackets: true }),
  odd('pub', '-m x -P secret -V 5 -i me', { comparesPackets: true }),
  odd('pub', '-m x -P secret'),
  odd('pub', '-m x -u joe -P secret -u ann -i me', { comparesPackets: true }),
  odd('pub', '-m x -q 1x'),
  odd('pub', '-m x -q 01'),
  odd('pub', "-m x -q ''"),
  odd('pub', '-m x -q -1'),
  odd('pub', '-m x -q 1 -q 2'),
  odd('pub', '-m x -k 0'),
  odd('pub', '-m x -k 65535 -i me', { comparesPackets: true }),
  odd('pub', '-m x -k 65536'),
  odd('pub', '-m x -M 70000 -q 1'),
  odd('pub', '-m x -V 5 -V 311 -i me', { comparesPackets: true }),
  odd('pub', '-m x -V MQTTV5'),
  odd('pub', '-m x -x -1 -V 5 -i me', { comparesPackets: true }),
  odd('pub', '-m x -x 4294967296 -V 5 -i me'),
  odd('pub', '-m x -c -V 5 -i me', { comparesPackets: true }),
  odd('pub', '-m x --will-qos 1 -i me', { comparesPackets: true }),
  odd('pub', '-m x --will-retain'),
  odd('pub', '-m x --will-topic w --will-topic v -i me', { comparesPackets: true }),
  odd('pub', '-m x -D publish content-type a -D publish content-type b', { quick: true }),
  odd('sub', '-E -D connect receive-maximum 1 -D connect receive-maximum 2'),
  odd('pub', "-m x -D publish user-property '' ''"),
  odd('pub', "-m x -D publish content-type ''"),
  odd('pub', '-m x -D publish user-property a'),
  odd('pub', '-m x -D will will-delay-interval 5 --will-topic w -i me', { comparesPackets: true }),
  odd('pub', '-m x -V 311 -D publish content-type a'),
  odd('pub', '-L mqtt://127.0.0.1:{port}/a%2Fb/c -m x'),
  odd('pub', '-L mqtt://joe@127.0.0.1:{port}/b -m x -i me', { comparesPackets: true }),
  odd('pub', `-m x -t ${'t'.repeat(65_536)}`, { name: 'a topic that is too long' }),
  odd('pub', '-m x -t'),
]

const Files: readonly Script[] = [
  kept('the file with CR', '-t a\r\n-m x\r\n-q 1\r\n'),
  kept('the file without a last newline', '-m x\n-t a'),
  kept('the file has quotes, which are part of the text', '-t "a b"\n-m "hello world"\n'),
  kept('the file has a text with spaces around it', '-t a\n-m   spaced  \n', { quick: true }),
  kept('the file has a number after spaces', '-t a\n-m x\n-q   1\n'),
  kept('the file has an option that is none', '-t a\n-m x\n--zzz\n'),
  kept('the file has comments and empty lines', '\n\n#c\n-t a\n#\n-m x\n'),
  kept('the file has a comment that is none', '-t a\n-m x\n  # no\n'),
]

const Subscribing: readonly Script[] = [
  odd('sub', '-U a -E', { name: 'what is subscribed to and left', quick: true }),
  odd('sub', '-t b -U a -U c/# -W 1 -i me', { filters: 2 }),
  odd('sub', '-U c -U d -W 1 -i me', { comparesPackets: true }),
  odd('sub', '-W 1 -i me', { comparesPackets: true, name: '-W says goodbye' }),
  odd('sub', '-W 1 -V 5 -i me', { comparesPackets: true, name: '-W asks for the will' }),
  odd('sub', '-W 1.9', { comparesErrors: true }),
  odd('sub', '-W 2 -W 1'),
  odd('sub', '-W 1 -E -i me', { comparesPackets: true }),
  odd('sub', '-W x'),
  odd('sub', '-C 2 -C 1', { after: X }),
  odd('sub', '-C 1.9', { after: X }),
  odd('sub', '-C -1'),
  odd('sub', '-T # -W 1', { after: X }),
  odd('sub', '-T a/#/b -E'),
  odd('sub', "-T '' -E"),
  odd('sub', '-U #/a -E'),
  odd('sub', '-t r/# --retained-only -W 1 -v', { before: KEPT, filters: 2 }),
  odd('sub', '-t r/a --remove-retained -T r/a -W 1 -v', { before: KEPT, filters: 2 }),
  odd('sub', '-t r/a --remove-retained -W 1 -R -v', { before: KEPT, filters: 2 }),
  odd('sub', '-v -F %p -C 1', { after: X }),
  odd('sub', '-F %p -v -N -C 1', { after: X }),
  odd('sub', "-F '' -C 1", { after: X }),
  odd('sub', '-F a -F b -C 1', { after: X }),
  odd('sub', '-F'),
  odd('sub', '-F a@'),
  odd('sub', '--pretty -F %t -C 1', { after: X }),
  odd('sub', '-E -t + -t # -t $SYS/# -i me', { comparesPackets: true }),
  odd('sub', '-E -V 311 --retain-as-published -i me', { comparesPackets: true }),
  odd('sub', '-E -D subscribe user-property a b -i me', { comparesPackets: true }),
  odd('sub', '-E -D subscribe subscription-identifier 268435456'),
  odd('sub', '-E -D connect request-problem-information 2'),
]

const Asking: readonly Script[] = [
  odd('rr', "-m ''"),
  odd('rr', '-n -n'),
  odd('rr', '-m x -m y'),
  odd('rr', '-m x -q 2 -v'),
  odd('rr', '-m x -t service/echo'),
  odd('rr', '-m x -r'),
  odd('rr', '-m x -W 0'),
  odd('rr', '-m x -D publish response-topic other', { quick: true }),
  odd('rr', '-m x -D publish correlation-data mine -F %D|%p'),
]

export const OddScripts: readonly Script[] = [
  ...Sources,
  ...Values,
  ...Files,
  ...Subscribing,
  ...Asking,
]
