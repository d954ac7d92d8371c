// Completions, each in its own shell.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { skipWithout } from '../support/skip.ts'
import { GODWIT } from './godwit.ts'

const LIMIT_MS = 60_000

function godwit(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [GODWIT, ...args], { encoding: 'utf8', timeout: LIMIT_MS })
}

/** What a shell offers behind these words, the last of which is being typed. */
type Complete = (...words: string[]) => string[]

function inBash(): Complete {
  const { stdout: script } = godwit('completion', 'bash')
  return (...words) => {
    const list = words.map(word => `'${word}'`).join(' ')
    const line = `${script}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _godwit
printf '%s\\n' "\${COMPREPLY[@]}"`
    return offered('bash', ['--norc', '-c', line])
  }
}

/** A zsh at a pseudo-terminal, whose compadd writes down what it is given. */
const ZSH_CAPTURE = `zmodload zsh/zpty || exit 3
export CAPTURE=$1 OFFERED=$1/offered
: > $OFFERED
print -r -- '
PROMPT=
LISTMAX=10000
fpath=("$CAPTURE" $fpath)
autoload -Uz compinit; compinit -u -D
bindkey "^I" complete-word
zstyle ":completion:*" insert-tab false
compadd() {
  local -a hits
  if [[ " $* " != *" -"[OAD]" "* ]]; then
    builtin compadd -A hits "$@"
    (( $#hits )) && print -rl -- $hits >> $OFFERED
  fi
  builtin compadd "$@"
}
leave() { exit }
comppostfuncs=(leave)
print rea\\dy
' > $1/init
zpty shell zsh -f -i
zpty -w shell 'source "$CAPTURE/init"'
while zpty -r shell line; do [[ $line == *ready* ]] && break; done
zpty -w -n shell "$2"$'\\t'
while zpty -r shell line; do :; done
cat $OFFERED
`

function inZsh(context: TestContext): Complete {
  const folder = folderOf(context)
  writeFileSync(join(folder, '_godwit'), godwit('completion', 'zsh').stdout)
  writeFileSync(join(folder, 'capture'), ZSH_CAPTURE)
  return (...words) => offered('zsh', ['-f', join(folder, 'capture'), folder, words.join(' ')])
}

function inFish(context: TestContext): Complete {
  const folder = folderOf(context)
  const file = join(folder, 'godwit.fish')
  writeFileSync(file, godwit('completion', 'fish').stdout)
  return (...words) => {
    const line = `source '${file}'; complete -C '${words.join(' ')}'`
    const home = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }
    // Behind a tab there is what it says about it.
    return offered('fish', ['--no-config', '-c', line], home).map(each => each.replace(/\t.*/, ''))
  }
}

function offered(
  shell: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): string[] {
  const env = { ...process.env, TERM: 'xterm', ...environment }
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const options = { encoding: 'utf8', timeout: LIMIT_MS, env, cwd } as const
  const { stdout, stderr, status } = spawnSync(shell, args, options)
  assert.equal(stderr, '')
  assert.equal(status, 0)
  return stdout.trim().split('\n')
}

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  context.after(() => rmSync(folder, { recursive: true }))
  return folder
}

const Shells: readonly [shell: string, complete: (context: TestContext) => Complete][] = [
  ['bash', inBash],
  ['zsh', inZsh],
  ['fish', inFish],
]

for (const [shell, of] of Shells) {
  test(`${shell} completes commands, options, testers and files`, context => {
    if (skipWithout(context, spawnSync(shell, ['--version']).status === 0 ? undefined : shell)) {
      return
    }
    const complete = of(context)
    assert.deepEqual(complete('godwit', 'pu'), ['pub'])
    assert.ok(complete('godwit', '').includes('bench'))
    assert.ok(complete('godwit', 'serve', '--pass').includes('--password-file'))
    const sub = complete('godwit', 'sub', '-')
    assert.ok(sub.includes('-C') && sub.includes('--retained-only'), sub.join(' '))
    const pub = complete('godwit', 'pub', '-')
    assert.ok(pub.includes('-m') && !pub.includes('-C'), 'pub has no -C')
    const testers = ['compare', 'compare-brokers', 'load', 'many', 'ping', 'report']
    const offers = complete('godwit', 'bench', '')
    assert.deepEqual(
      testers.filter(each => !offers.includes(each)),
      [],
    )
    const paired = complete('godwit', 'bench', 'ping', '--pa')
    assert.ok(paired.includes('--pairs') && !paired.includes('--pace'), paired.join(' '))
    assert.ok(complete('godwit', 'bench', 'many', '--pa').includes('--pace'))
    // Behind an option with a value comes the value, which may be a file.
    const value = complete('godwit', 'pub', '-f', 'completion.long.')
    assert.ok(value.includes('completion.long.test.js') && !value.includes('-m'), value.join(' '))
    assert.ok(!complete('godwit', 'pub', '-t', '').includes('-m'))
    // fish takes every dash for an option.
    if (shell !== 'fish') assert.ok(!complete('godwit', 'pub', '-t', '-').includes('-m'))
    // A topic may have the name of a command.
    assert.ok(complete('godwit', 'sub', 'pub', '--').includes('--watch'))
    assert.ok(!complete('godwit', 'sub', 'pub', '--').includes('--repeat'))
  })
}

test('another shell is a mistake', () => {
  const { status, stderr } = godwit('completion', 'tcsh')
  assert.equal(status, 2)
  assert.match(stderr, /completion takes bash, zsh or fish, not tcsh/)
})
