// Completions: bash's are run, those of the other shells are read.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const GODWIT = fileURLToPath(new URL('../../bin/godwit.js', import.meta.url))
const LIMIT_MS = 60_000

function godwit(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [GODWIT, ...args], { encoding: 'utf8', timeout: LIMIT_MS })
}

test('bash completes commands, options and the testers', () => {
  const { stdout: script } = godwit('completion', 'bash')
  const complete = (...words: string[]): string[] => {
    const list = words.map(word => `'${word}'`).join(' ')
    const run = `${script}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _godwit
printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', run], {
      encoding: 'utf8',
      timeout: LIMIT_MS,
    })
    assert.equal(stderr, '')
    return stdout.trim().split('\n')
  }
  assert.deepEqual(complete('godwit', 'pa'), ['passwd'])
  assert.deepEqual(complete('godwit', 'r'), ['rr', 'replay'])
  assert.deepEqual(complete('godwit', 'pub', '--repeat-'), ['--repeat-delay'])
  assert.ok(complete('godwit', 'sub', '-').includes('-C'))
  assert.ok(!complete('godwit', 'pub', '-').includes('-C'), 'pub has no -C')
  assert.ok(complete('godwit', 'serve', '--pass').includes('--password-file'))
  assert.ok(complete('godwit', 'bench', '').includes('ping'))
  assert.ok(complete('godwit', 'bench', 'ping', '--pa').includes('--pairs'))
  // Behind an option with a value comes the value.
  assert.ok(!complete('godwit', 'pub', '-t', '-').includes('-m'))
})

test('zsh and fish get every command with its options', () => {
  const zsh = godwit('completion', 'zsh').stdout
  assert.match(zsh, /^#compdef godwit\n/)
  assert.match(zsh, /'--retained-only:only retained ones; end at the first other'/)
  assert.match(zsh, /'bench ping'\) choices=\('--pairs:/)
  const fish = godwit('completion', 'fish').stdout
  assert.match(fish, /^complete -c godwit -n __fish_use_subcommand -f -a serve -d 'run a broker'$/m)
  assert.match(fish, /^complete -c godwit -n '__fish_seen_subcommand_from sub' -s C -d /m)
  assert.match(fish, /seen_subcommand_from bench; and __fish_seen_subcommand_from many' -l pace/)
})

test('another shell is a mistake', () => {
  const { status, stderr } = godwit('completion', 'tcsh')
  assert.equal(status, 2)
  assert.match(stderr, /completion takes bash, zsh or fish, not tcsh/)
})
