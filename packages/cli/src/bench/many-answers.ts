// hot
// What the sessions of `many` have asked and what was answered: one question at a time of each.
// A question is a message at QoS 1 or 2, or a ping; the last roll call is told apart, since all at
// once wait for one another, and that is no figure of the broker at this pace.

import { nowUs } from './clock.ts'
import { Latencies } from './histogram.ts'
import { elapsedUs, wrapped } from './message.ts'

export class Answers {
  /** Questions but those of the roll call; what was not answered is still out or cut off. */
  asked = 0
  answered = 0
  refused = 0
  /** Questions whose connection was gone before the answer. */
  cutOff = 0
  readonly latencies: Latencies = new Latencies()
  /** By session: when its question was sent; 0: there is none. */
  private sinceUs: Uint32Array
  /** By session: whether the question is one of the roll call. */
  private isCalled: Uint8Array = new Uint8Array(0)
  private waiting = 0

  constructor(places: number) {
    this.sinceUs = new Uint32Array(places)
  }

  makePlaces(places: number): void {
    const sinceUs = new Uint32Array(places)
    sinceUs.set(this.sinceUs)
    this.sinceUs = sinceUs
  }

  /** Questions that are out, those of the roll call too. */
  get open(): number {
    return this.waiting
  }

  isOpen(session: number): boolean {
    return this.sinceUs[session] !== 0
  }

  /** How long the question of a session is out; 0 when there is none. */
  waitedUs(session: number, now: number): number {
    const since = this.sinceUs[session] ?? 0
    return since === 0 ? 0 : elapsedUs(now, since)
  }

  /** The session has no other question. */
  ask(session: number, now: number): void {
    this.asked++
    this.waiting++
    this.sinceUs[session] = wrapped(now) || 1
  }

  /** A question of the roll call. */
  call(session: number, now: number): void {
    if (this.isCalled.length === 0) this.isCalled = new Uint8Array(this.sinceUs.length)
    this.isCalled[session] = 1
    this.waiting++
    this.sinceUs[session] = wrapped(now) || 1
  }

  answer(session: number): void {
    const since = this.sinceUs[session] ?? 0
    if (!this.end(session)) return
    this.answered++
    this.latencies.record(elapsedUs(nowUs(), since))
  }

  refuse(session: number): void {
    if (this.end(session)) this.refused++
  }

  /** The connection of a session is gone. */
  drop(session: number): void {
    if (this.end(session)) this.cutOff++
  }

  /** @returns whether a question that counts was out */
  private end(session: number): boolean {
    if (this.sinceUs[session] === 0) return false
    this.sinceUs[session] = 0
    this.waiting--
    if (this.isCalled[session] !== 1) return true
    this.isCalled[session] = 0
    return false
  }
}
