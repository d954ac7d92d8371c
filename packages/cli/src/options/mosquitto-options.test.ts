// Each option of Mosquitto 2.1's clients is one of ours, or it is not wanted, with the reason.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandFailure } from '../failure.ts'
import { optionGroups, parseClientWords } from './parse.ts'

const NO_ENGINES = 'Node has no engines of OpenSSL'

const NotWanted: Readonly<Record<string, string>> = {
  '--tls-engine': NO_ENGINES,
  '--tls-engine-kpass-sha1': NO_ENGINES,
  '--mptcp': 'Node cannot ask the system for it',
}

/** Those of all three, from their manual pages. */
const COMMON = [
  '-A -c -d -D -h -i -I -k -L -o -p -P -q -S -t -u -V -x --cafile --capath --cert --ciphers --help',
  '--insecure --key --keyform --no-tls --nodelay --property --proxy --psk --psk-identity --quiet',
  '--tls-alpn --tls-engine --tls-engine-kpass-sha1 --tls-keylog --tls-use-os-certs --tls-version',
  '--unix --version --will-payload --will-qos --will-retain --will-topic --ws --mptcp',
]

const Mosquitto = {
  pub: [...COMMON, '-f -l -m -M -n -r -s --repeat --repeat-delay'],
  sub: [
    ...COMMON,
    '-C -E -F -N -R -T -U -v -w -W --message-rate --pretty --random-filter --remove-retained',
    '--retain-as-published --retain-handling --retained-only --watch',
  ],
  rr: [...COMMON, '-e -f -F -m -n -N -R -s -v -W --latency --pretty'],
} as const

/** Read before all others, and not in the tables: they take more words than one, or none. */
const ReadFirst = ['-D', '--property', '-o', '--help', '--version']

for (const [command, lists] of Object.entries(Mosquitto)) {
  test(`godwit ${command} has the options of mosquitto_${command} 2.1`, () => {
    const known = optionGroups(command as keyof typeof Mosquitto)
      .flatMap(({ options }) => options)
      .flatMap(({ names }) => names)
    const theirs = lists.flatMap(line => line.split(' '))
    const missing = theirs.filter(name => !known.includes(name) && !ReadFirst.includes(name))
    assert.deepEqual(missing, Object.keys(NotWanted))
  })

  test(`godwit ${command} says that it does not know what is not wanted`, () => {
    for (const name of Object.keys(NotWanted)) {
      assert.throws(
        () => {
          const surroundings = { environment: {}, pid: 1 }
          parseClientWords(command as keyof typeof Mosquitto, [name, 'x'], surroundings)
        },
        (error: unknown) => error instanceof CommandFailure && error.message.includes(name),
      )
    }
  })
}
