// A reporter for node:test: failures in full, skipped tests with their reason, then the runner's
// own summary. Tests that pass print nothing.
import { Readable } from 'node:stream'
import { spec } from 'node:test/reporters'

/**
 * @param {AsyncIterable<{ type: string, data: { skip?: string | boolean, name?: string } }>} source
 * @returns {AsyncGenerator<string>}
 */
export default async function* shortReport(source) {
  const formatted = Readable.from(withoutPasses(source)).pipe(new spec())
  for await (const chunk of formatted) yield String(chunk)
}

/**
 * @param {Parameters<typeof shortReport>[0]} source
 * @returns {AsyncGenerator<unknown>}
 */
async function* withoutPasses(source) {
  for await (const event of source) {
    // test:start would make the formatter print every suite's name as a heading.
    if (event.type === 'test:start') continue
    if (event.type === 'test:pass' && !event.data.skip) continue
    yield event
  }
}
