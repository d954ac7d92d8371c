// Colours on a terminal, plain text in a pipe or with NO_COLOR.

import pc from 'picocolors'

interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
  cyan(text: string): string
}

/** For standard output. */
export const paint: Paint = colorsFor(process.stdout)

/** For standard error, which may be a terminal when standard output is not. */
export const paintError: Paint = colorsFor(process.stderr)

function colorsFor(stream: { readonly isTTY?: boolean }): Paint {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  const wanted = FORCE_COLOR !== undefined && FORCE_COLOR !== '0' && FORCE_COLOR !== ''
  const possible = stream.isTTY === true && TERM !== 'dumb'
  return pc.createColors((NO_COLOR ?? '') === '' && (wanted || possible))
}
