// The log when standard output does not take it: nothing throws, nothing blocks, losses are told.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LOG_WAITING_BYTES_MAX, LogOutput } from './log-output.ts'

class Pipe {
  /** Bytes that are taken; -1: as many as come. */
  room = -1
  code = 'EAGAIN'
  taken = ''
  calls = 0
  acts: (() => void)[] = []
  readonly losses: number[] = []
  readonly output: LogOutput

  constructor() {
    this.output = new LogOutput(lost => this.losses.push(lost), {
      put: bytes => this.put(bytes),
      later: (_ms, act) => void this.acts.push(act),
    })
  }

  retry(): void {
    for (const act of this.acts.splice(0)) act()
  }

  private put(bytes: Uint8Array): number {
    this.calls++
    if (this.room === 0) throw Object.assign(new Error('no'), { code: this.code })
    const count = this.room < 0 ? bytes.length : Math.min(this.room, bytes.length)
    if (this.room > 0) this.room -= count
    this.taken += Buffer.from(bytes.subarray(0, count)).toString()
    return count
  }
}

test('lines are written at once and in order, also when a part of one was taken', () => {
  const pipe = new Pipe()
  pipe.output.write('one\n')
  assert.equal(pipe.taken, 'one\n')
  pipe.room = 2
  pipe.output.write('two\n')
  pipe.output.write('three\n')
  assert.equal(pipe.taken, 'one\ntw')
  pipe.room = -1
  pipe.retry()
  assert.equal(pipe.taken, 'one\ntwo\nthree\n')
  assert.deepEqual(pipe.losses, [])
})

test('a full disk or pipe costs a try per interval, and what is over the limit is counted', () => {
  for (const code of ['ENOSPC', 'EAGAIN', 'EIO']) {
    const pipe = new Pipe()
    pipe.code = code
    pipe.room = 0
    const line = `${'x'.repeat(1023)}\n`
    const most = LOG_WAITING_BYTES_MAX / line.length
    for (let i = 0; i < most; i++) pipe.output.write(line)
    for (let i = 0; i < 3; i++) pipe.output.write(line)
    assert.equal(pipe.calls, 1)
    pipe.retry()
    assert.equal(pipe.calls, 2)
    assert.deepEqual(pipe.losses, [])
    pipe.room = -1
    pipe.retry()
    assert.equal(pipe.taken.length, LOG_WAITING_BYTES_MAX)
    assert.deepEqual(pipe.losses, [3])
    pipe.output.write('after\n')
    assert.ok(pipe.taken.endsWith('\nafter\n'))
  }
})

test('when the reader of a pipe has gone, nothing is tried or kept any more', () => {
  const pipe = new Pipe()
  pipe.code = 'EPIPE'
  pipe.room = 0
  pipe.output.write('one\n')
  pipe.room = -1
  pipe.output.write('two\n')
  pipe.output.flush()
  assert.deepEqual([pipe.calls, pipe.taken, pipe.acts.length], [1, '', 0])
})
