// The command `godwit completion bash|zsh|fish`: prints what the shell needs to complete commands
// and options. Everything is taken from the tables that the commands themselves read.

import { Flags } from '../bench/flags.ts'
import { usage } from '../failure.ts'
import type { ClientCommand } from '../options/choice.ts'
import { optionGroups } from '../options/parse.ts'
import { outputStream } from '../output/streams.ts'

/** An option as a shell completes it. */
export interface CompletedOption {
  /** With their dashes. */
  readonly names: readonly string[]
  readonly text: string
  readonly takesValue: boolean
}

/** A command, or a bench's: `bench ping`. */
export interface CompletedCommand {
  readonly name: string
  readonly text: string
  readonly options: readonly CompletedOption[]
}

const CLIENT_COMMANDS: readonly ClientCommand[] = ['pub', 'sub', 'rr', 'check']
const PROPERTY: CompletedOption = {
  names: ['-D', '--property'],
  text: 'a property',
  takesValue: true,
}
const OPTIONS_FILE: CompletedOption = { names: ['-o'], text: 'options in a file', takesValue: true }
const HELP: CompletedOption = { names: ['--help'], text: 'show what there is', takesValue: false }

/** @param others the commands that commander knows @returns the exit code */
export function completion(shell: string | undefined, others: readonly CompletedCommand[]): number {
  const commands = allCommands(others)
  switch (shell) {
    case 'bash':
      outputStream().write(bashScript(commands))
      return 0
    case 'zsh':
      outputStream().write(zshScript(commands))
      return 0
    case 'fish':
      outputStream().write(fishScript(commands))
      return 0
    default:
      return usage(`completion takes bash, zsh or fish, not ${shell ?? 'nothing'}`)
  }
}

/** Every command, those of commander with the options that their own tables have. */
export function allCommands(others: readonly CompletedCommand[]): CompletedCommand[] {
  const commands = others.map(command => {
    const client = CLIENT_COMMANDS.find(name => name === command.name)
    if (client !== undefined) return { ...command, options: clientOptions(client) }
    return command.name === 'replay' ? { ...command, options: clientOptions('pub') } : command
  })
  return [...commands, ...benchCommands()]
}

function clientOptions(command: ClientCommand): CompletedOption[] {
  const own = optionGroups(command).flatMap(({ options }) =>
    options.map(({ names, text, value }) => {
      // The Go programs' flags are for those who have them already.
      const completed = names.filter(name => !/^-[a-z]{2}/.test(name))
      return { names: completed, text, takesValue: value !== null }
    }),
  )
  return [...own, ...(command === 'check' ? [] : [PROPERTY]), OPTIONS_FILE, HELP]
}

function benchCommands(): CompletedCommand[] {
  const names = [...new Set(Flags.flatMap(({ commands }) => commands))]
  return names.map(name => ({
    name: `bench ${name}`,
    text: '',
    options: Flags.filter(({ commands }) => commands.includes(name)).map(flag => ({
      names: [`--${flag.name}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])],
      text: flag.text,
      takesValue: flag.value !== undefined,
    })),
  }))
}

function topLevel(commands: readonly CompletedCommand[]): CompletedCommand[] {
  return commands.filter(({ name }) => !name.includes(' '))
}

/** The second words of a command that has some. */
function below(commands: readonly CompletedCommand[], name: string): string[] {
  return commands
    .filter(command => command.name.startsWith(`${name} `))
    .map(command => command.name.slice(name.length + 1))
}

/** Options behind which comes a value: a file may be meant. */
function withValue({ options }: CompletedCommand): string[] {
  return options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names)
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(command => {
    const { name, options } = command
    const words = [...options.flatMap(({ names }) => names), ...below(commands, name)]
    const values = withValue(command).join(' ')
    return `    '${name}') words='${words.join(' ')}' values=' ${values} ' ;;`
  })
  return `# Completion of godwit for bash: eval "$(godwit completion bash)"
_godwit() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD - 1]}"
  local words='' values=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${topLevel(commands)
      .map(({ name }) => name)
      .join(' ')}'
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  local command="\${COMP_WORDS[1]}"
  if [ "$command" = bench ] && [ "$COMP_CWORD" -gt 2 ]; then command="bench \${COMP_WORDS[2]}"; fi
  case "$command" in
${cases.join('\n')}
  esac
  case "$values" in
    *" $before "*) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$words" -X '-*' -- "$current") $(compgen -f -- "$current")) ;;
  esac
}
complete -o filenames -F _godwit godwit
`
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const list = topLevel(commands).map(({ name, text }) => `    ${zshItem(name, text)}`)
  const cases = commands.map(command => {
    const { name, options } = command
    const items = options.flatMap(({ names, text }) => names.map(each => zshItem(each, text)))
    const values = withValue(command).join(' ')
    const words = below(commands, name).join(' ')
    return `    '${name}') choices=(${items.join(' ')}) values=(${values}) testers=(${words}) ;;`
  })
  return `#compdef godwit
# Completion of godwit for zsh: godwit completion zsh > "\${fpath[1]}/_godwit"
_godwit() {
  local -a commands choices values testers
  commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
    return
  fi
  local command="\${words[2]}"
  if [[ "$command" == bench ]] && (( CURRENT > 3 )); then command="bench \${words[3]}"; fi
  case "$command" in
${cases.join('\n')}
  esac
  if (( \${values[(Ie)\${words[CURRENT-1]}]} )); then
    _files
    return
  fi
  if (( $#testers )); then
    _describe -t commands tester testers
    return
  fi
  # Options only where a dash asks for them: words are topics, messages, files.
  [[ "$PREFIX" == -* ]] && _describe -t options option choices && return
  _files
}
_godwit "$@"
`
}

function zshItem(name: string, text: string): string {
  const escaped = (part: string): string => part.replaceAll(':', '\\:').replaceAll("'", "'\\''")
  return text === '' ? `'${escaped(name)}'` : `'${escaped(name)}:${escaped(text)}'`
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const quote = (text: string): string =>
    `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const first = topLevel(commands).map(({ name, text }) => {
    return `complete -c godwit -n __godwit_is -f -a ${name} -d ${quote(text)}`
  })
  const rest = commands.flatMap(({ name, options }) => {
    const condition = `__godwit_is ${name}`
    const words = below(commands, name).map(word => {
      return `complete -c godwit -n ${quote(condition)} -f -a ${word}`
    })
    const lines = options.map(({ names, text, takesValue }) => {
      const spelled = names.map(each => {
        return each.startsWith('--') ? `-l ${each.slice(2)}` : `-s ${each.slice(1)}`
      })
      const value = takesValue ? ' -r' : ''
      const what = `${spelled.join(' ')} -d ${quote(text)}${value}`
      return `complete -c godwit -n ${quote(condition)} ${what}`
    })
    return [...words, ...lines]
  })
  return `# Completion of godwit for fish: godwit completion fish | source
# Whether the words so far are godwit and these. A topic may be called as a command is.
function __godwit_is
  set -l words (commandline -opc)
  set -e words[1]
  if test (count $argv) -eq 0 -o "$argv" = bench
    test "$words" = "$argv"
    return
  end
  set -l most (count $argv)
  test (count $words) -ge $most; and test "$words[1..$most]" = "$argv"
end
${[...first, ...rest].join('\n')}
`
}
