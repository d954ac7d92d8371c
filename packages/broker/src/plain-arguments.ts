// Node's own arguments for a thread that runs a file of ours.

const INPUT_TYPE = '--input-type'

/**
 * A thread has those of its process and of its environment. One of them says what language the text
 * of `--eval` is in, and Node refuses to start a file with it. All of them go then: ours need none.
 */
export function plainArguments(): {
  readonly execArgv?: string[]
  readonly env?: NodeJS.ProcessEnv
} {
  const isArgument = process.execArgv.some(word => word.startsWith(INPUT_TYPE))
  const { NODE_OPTIONS = '', ...env } = process.env
  const isOption = NODE_OPTIONS.includes(INPUT_TYPE)
  return { ...(isArgument || isOption ? { execArgv: [] } : {}), ...(isOption ? { env } : {}) }
}
