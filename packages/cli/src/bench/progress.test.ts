// The live display: a bar on a terminal, lines in a pipe, nothing when it is to be quiet.
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { intervalText, openProgress } from './progress.ts'
import type { Interval } from './result.ts'

/** A stream that says whether it is a terminal, and what came. */
function streamOf(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const through = new PassThrough()
  let text = ''
  through.on('data', chunk => {
    text += String(chunk)
  })
  const terminal = {
    isTTY,
    columns: 120,
    cursorTo: () => true,
    clearLine: () => true,
    moveCursor: () => true,
  }
  return {
    stream: Object.assign(through, terminal) as unknown as NodeJS.WriteStream,
    text: () => text,
  }
}

test('on a terminal there is a bar with the text behind it', () => {
  const { stream, text } = streamOf(true)
  const progress = openProgress(false, stream)
  progress.say('first')
  progress.begin(10, 'seconds')
  progress.update(5, '1.2k msg/s')
  progress.update(20, 'beyond its end')
  progress.end()
  assert.match(text(), /^first\n/)
  assert.match(text(), /\[[#-]{22}\] \d+ %/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal gets
  assert.match(text(), /\x1b/)
})

test('in a pipe there are plain lines, and not one for each update', () => {
  const { stream, text } = streamOf(false)
  const progress = openProgress(false, stream)
  progress.say('first')
  progress.begin(10, 'seconds')
  for (let i = 0; i < 100; i++) progress.update(i, 'x')
  progress.end()
  assert.equal(text(), 'first\n')
})

test('in a pipe what has no end is told without a number', () => {
  const { stream, text } = streamOf(false)
  let nowMs = 0
  const progress = openProgress(false, stream, () => nowMs)
  progress.begin(10, 'messages')
  nowMs = 6e3
  progress.update(4, 'x')
  nowMs = 12e3
  progress.update(Number.POSITIVE_INFINITY, '6 still to arrive')
  assert.equal(text(), '4 of 10 messages   x\n6 still to arrive\n')
})

test('when it is to be quiet nothing is written', () => {
  const { stream, text } = streamOf(true)
  const progress = openProgress(true, stream)
  progress.say('first')
  progress.begin(10, 'seconds')
  progress.update(5, 'x')
  progress.end()
  assert.equal(text(), '')
})

test('a second of a run has rate, percentiles and the delay of the tester', () => {
  const interval: Interval = {
    ...{ fromSeconds: 1, toSeconds: 2, sent: 10, acked: 0, received: 1500, connections: 4 },
    ...{ p50: 940, p99: 4900, max: 2e6, loopDelayMs: 1.44, isWarmup: true, encoded: {} },
  }
  const text = intervalText(interval, { received: 123_456 })
  const expected = ['123 456 msgs', '1.50k msg/s', 'p50 940 us', 'p99 4.90 ms', 'max 2.00 s']
  for (const part of [...expected, 'loop delay 1.4 ms', 'warm-up'])
    assert.ok(text.includes(part), part)
  assert.doesNotMatch(intervalText({ ...interval, p50: null }, { received: 0 }), /p50/)
})
