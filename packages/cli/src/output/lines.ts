// Standard input or a file cut into lines of bytes. The next piece is read when somebody asks for
// the next line: who publishes no faster than the broker takes reads no faster either.

/** The longest line: a message of MQTT is not longer. */
const LINE_BYTES_MAX = 268_435_455
const NEWLINE = 0x0a

/** A line ends at a newline or at the end; what stands before is as it came. @throws RangeError */
export async function* lines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = []
  let partBytes = 0
  for await (const chunk of input) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield joined(parts, chunk.subarray(start, end))
      parts = []
      partBytes = 0
      start = end + 1
    }
    if (start === chunk.length) continue
    parts.push(chunk.subarray(start))
    partBytes += chunk.length - start
    if (partBytes > LINE_BYTES_MAX) throw new RangeError('a line is longer than 256 MiB')
  }
  if (partBytes > 0) yield joined(parts, new Uint8Array(0))
}

function joined(parts: readonly Uint8Array[], last: Uint8Array): Uint8Array {
  return parts.length === 0 ? last : Buffer.concat([...parts, last])
}
