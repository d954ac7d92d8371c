// Node's own arguments for a thread that runs a file of ours.

/**
 * A thread has those of its process. One of them says what language the text of `--eval` is in, and
 * Node refuses to start a file with it.
 */
export function plainArguments(): { readonly execArgv?: string[] } {
  const isText = process.execArgv.some(word => word.startsWith('--input-type'))
  return isText ? { execArgv: [] } : {}
}
