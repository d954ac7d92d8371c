// Passwords wait in a line: how many are checked at once, and in which order.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CheckLine } from './check-line.ts'

/** A line whose checks end when the test says so. */
class Clerk {
  readonly begun: string[] = []
  private readonly ends = new Map<string, (isRight: boolean | Error) => void>()
  private readonly line: CheckLine

  constructor(room: number) {
    this.line = new CheckLine(room)
  }

  ask(user: string, name: string, weight = 1): Promise<boolean> {
    return this.line.run(user, weight, () => {
      this.begun.push(name)
      return new Promise<boolean>((resolve, reject) => {
        this.ends.set(name, answer => (answer instanceof Error ? reject(answer) : resolve(answer)))
      })
    })
  }

  /** What has begun, once everything that can begin has. */
  async now(): Promise<string> {
    await new Promise(resolve => setImmediate(resolve))
    return this.begun.join(' ')
  }

  end(name: string, answer: boolean | Error = true): void {
    this.ends.get(name)?.(answer)
  }
}

test('as many are checked at once as there is room for, in their order', async () => {
  const clerk = new Clerk(2)
  const answers = ['a', 'b', 'c', 'd'].map(name => clerk.ask(name, name))
  assert.equal(await clerk.now(), 'a b')
  clerk.end('b', false)
  assert.equal(await clerk.now(), 'a b c')
  clerk.end('a')
  clerk.end('c')
  assert.equal(await clerk.now(), 'a b c d')
  clerk.end('d')
  assert.deepEqual(await Promise.all(answers), [true, false, true, true])
})

test('those of one user come one after the other, and hold up nobody else', async () => {
  const clerk = new Clerk(3)
  for (const name of ['a1', 'a2', 'a3', 'b1']) void clerk.ask(name.slice(0, 1), name)
  assert.equal(await clerk.now(), 'a1 b1')
  clerk.end('a1', false)
  assert.equal(await clerk.now(), 'a1 b1 a2')
  clerk.end('a2')
  assert.equal(await clerk.now(), 'a1 b1 a2 a3')
})

test('what weighs as much as all the room is checked alone, and is not overtaken', async () => {
  const clerk = new Clerk(2)
  void clerk.ask('a', 'a')
  void clerk.ask('heavy', 'heavy', 2)
  void clerk.ask('b', 'b')
  assert.equal(await clerk.now(), 'a')
  clerk.end('a')
  assert.equal(await clerk.now(), 'a heavy')
  clerk.end('heavy')
  assert.equal(await clerk.now(), 'a heavy b')
})

test('a check that fails makes room for the next one', async () => {
  const clerk = new Clerk(1)
  const failed = clerk.ask('a', 'a1')
  void clerk.ask('a', 'a2')
  await clerk.now()
  clerk.end('a1', new Error('no thread'))
  await assert.rejects(failed, /no thread/)
  assert.equal(await clerk.now(), 'a1 a2')
})
