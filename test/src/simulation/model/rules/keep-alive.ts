// Who is silent for one and a half times its keep alive is cut off then, and not before. What the
// broker does not read cannot be late. MQTT 5.0 section 3.1.2.10 [MQTT-3.1.2-22].

import type { ConnectionRecord, Facts } from '../facts.ts'
import { NEVER } from '../facts.ts'
import { broken } from '../failure.ts'
import { SLACK_MS } from '../questions.ts'

const FACTOR = 1.5
/** A tick, and more than the system may take. */
const LATE_MS = 800

/** What the broker does about reading. */
export interface Reading {
  readonly isPaused: boolean
  /** When it last stopped. */
  readonly pausedMs: number
  /** When it last read on. */
  readonly sinceMs: number
}

/** Time has passed. */
export function passTime(facts: Facts, connection: ConnectionRecord, reading: Reading): void {
  if (connection.isClosed || connection.openAt === NEVER || reading.isPaused) return
  if (connection.keepAliveMs === 0) return
  const silentMs = facts.nowMs - heardMs(facts, connection, reading)
  if (silentMs <= connection.keepAliveMs * FACTOR + LATE_MS) return
  const { clientId } = connection.connect
  broken(
    'keep-alive',
    `${clientId} is silent for ${silentMs} ms, ${connection.keepAliveMs} ms agreed`,
  )
}

/** The broker has ended the connection for its silence. */
export function checkSilence(facts: Facts, connection: ConnectionRecord, reading: Reading): void {
  const silentMs = facts.nowMs - Math.max(connection.heardMs, reading.sinceMs)
  if (silentMs >= connection.keepAliveMs * FACTOR - SLACK_MS) return
  const { clientId } = connection.connect
  const agreed = `${connection.keepAliveMs} ms agreed`
  broken('keep-alive', `${clientId} is cut off after ${silentMs} ms of silence, ${agreed}`)
}

function heardMs(facts: Facts, connection: ConnectionRecord, reading: Reading): number {
  const { stalledUntilMs } = facts
  return Math.max(connection.heardMs, connection.openMs, reading.sinceMs, stalledUntilMs)
}
