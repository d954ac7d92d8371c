// Every option of pub, sub and rr is in a command line that both clients answer alike, or it stands
// here with the reason why not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { run } from '../../cli/godwit.ts'
import { Scripts } from './scripts.ts'

const OWN = 'Mosquitto has it not'
const NEWER = "Debian's 2.0.11 has it not"
const BROKEN = "Debian's 2.0.11 does otherwise than its manual, see docs/cli.md"

/** By the spelling that the help lists first. */
const Elsewhere: Readonly<Record<string, string>> = {
  '--json': OWN,
  '--record': OWN,
  '--replay': OWN,
  '--speed': OWN,
  '--wait': OWN,
  '--go-format': OWN,
  '--latency': NEWER,
  '-w': NEWER,
  '--message-rate': NEWER,
  '--retain-handling': NEWER,
  '--ws': NEWER,
  '--ws-path': OWN,
  '--pw-env': OWN,
  '--pw-file': OWN,
  '--pw-ask': OWN,
  '--tls': OWN,
  '--no-tls': NEWER,
  '--tls-keylog': NEWER,
  '--random-filter': BROKEN,
  '-d': 'ours are packets on standard error, see docs/cli.md',
  '-S': 'it needs a DNS server with SRV records',
  '--proxy': 'it needs a SOCKS server: network/link.test.ts has one for ours',
  '--capath': 'it needs names that openssl rehash makes: cli/terminal.test.ts tests ours',
  '--tls-use-os-certs': 'its exit code is 1 or 8 by chance in Mosquitto: cli/unreachable.test.ts',
}

/** Each option with all its spellings, as the help lists them. */
async function optionsOf(command: string): Promise<string[][]> {
  const { stdout } = await run([command, '--help'])
  return [...stdout.matchAll(/^ {2}(-[^ ,]+(?:, -[^ ,]+)*)/gm)].map(([, names = '']) => {
    return names.split(', ')
  })
}

test('every option of Mosquitto is compared, or there is a reason', async () => {
  const compared = new Set(Scripts.flatMap(({ args }) => args))
  const needed = new Set<string>()
  for (const command of ['pub', 'sub', 'rr'] as const) {
    const options = await optionsOf(command)
    assert.ok(options.length > 50, `${options.length} options of ${command}`)
    for (const names of options) {
      if (names.some(name => compared.has(name))) continue
      const [first = ''] = names
      assert.ok(first in Elsewhere, `no script has ${names.join(' or ')} of ${command}`)
      needed.add(first)
    }
  }
  const superfluous = Object.keys(Elsewhere).filter(name => !needed.has(name))
  assert.deepEqual(superfluous, [], 'reasons for what scripts have')
})
