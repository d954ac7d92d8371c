// Standard output and standard error as streams. That nobody reads messages for people, or that a
// full disk takes none of them, ends nothing; whether all of standard output was taken is told at
// the end of the command, see start.ts.

type Standard = NodeJS.WriteStream

const held = new Set<Standard>()

/** Standard output; its failure is kept in `errored`. */
export function outputStream(): Standard {
  return hold(process.stdout)
}

/** Standard error. */
export function errorStream(): Standard {
  return hold(process.stderr)
}

/** Writes a line to standard error. */
export function tell(line: string): void {
  errorStream().write(`${line}\n`)
}

function hold(stream: Standard): Standard {
  if (!held.has(stream)) {
    held.add(stream)
    stream.on('error', () => undefined)
  }
  return stream
}
