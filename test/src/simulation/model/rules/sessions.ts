// A session is there as long as it was promised and not longer; Session Present says whether it is.
// MQTT 5.0 sections 3.1.2.4, 3.1.2.11.2 and 3.2.2.1.1.

import type { ConnackPacket, ConnectPacket } from '@godwit/packet'
import {
  type ConnectionEnd,
  type ConnectionRecord,
  type Facts,
  NEVER,
  type SessionLife,
} from '../facts.ts'
import { broken } from '../failure.ts'
import { makeUnsure, mustBeOver, mustExist, SLACK_MS } from '../questions.ts'
import * as subscriptions from './subscriptions.ts'
import * as wills from './wills.ts'

/** The end of a connection that a store could not keep yet is forgotten by a crash. */
const UNSURE_AFTER_CRASH_MS = 15_000

/** CONNACK 0 goes out. */
export function open(
  facts: Facts,
  connection: ConnectionRecord,
  packet: ConnackPacket,
  legacyExpirySeconds: number,
): void {
  const { connect } = connection
  const { clientId } = connect
  if (connection.isStranger) broken('login', `${clientId} is let in, and may not come in`)
  const old = facts.lives.get(clientId) ?? null
  const isPresent = sessionPresent(facts, connection, packet, old)
  if (old !== null) countOutcome(facts, connection, old, isPresent)
  let life = old
  if (!isPresent || life === null) {
    if (old !== null) {
      wills.end(facts, old)
      facts.endLife(old)
    }
    life = newLife(facts, connection)
    doubtRepetitions(facts, clientId)
  } else wills.resume(facts, life, connection)
  // MQTT 3.1 does not say whether the session is the one that a ghost has left.
  if (isPresent || (connect.protocolLevel === 3 && !connect.cleanStart)) {
    subscriptions.inherit(facts, life)
  }
  facts.ghosts.delete(clientId)
  facts.ghostRequests.delete(clientId)
  life.isCertain = true
  life.connection = connection
  const asked = expiryOf(connect, legacyExpirySeconds)
  const seconds = packet.properties.sessionExpiryInterval ?? asked
  // A full disk takes no new session; MQTT before 5.0 cannot say so.
  const mayBeBrief = connection.cameWhileFull && connect.protocolLevel < 5
  life.expirySecondsMin = mayBeBrief ? 0 : seconds
  life.expirySecondsMax = seconds
  life.connectExpirySeconds = seconds
  connection.life = life
  connection.openAt = facts.at
  connection.openMs = facts.nowMs
  subscriptions.applyEarly(facts, connection, life)
}

function countOutcome(
  facts: Facts,
  connection: ConnectionRecord,
  old: SessionLife,
  isPresent: boolean,
): void {
  const { coverage } = facts
  if (isPresent) {
    coverage.count('a session is resumed')
    const isFromBefore = old.leftMsMin <= facts.lastCrashMs
    if (isFromBefore) coverage.count('a session is resumed by another process')
  } else if (connection.connect.cleanStart) coverage.count('a clean start ends a session')
  else if (mustBeOver(facts, old, facts.nowMs)) coverage.count('a session has expired')
}

/** @returns whether the session goes on */
function sessionPresent(
  facts: Facts,
  connection: ConnectionRecord,
  packet: ConnackPacket,
  old: SessionLife | null,
): boolean {
  const { clientId, cleanStart, protocolLevel } = connection.connect
  const isGhost = facts.ghosts.has(clientId)
  const isSaid = protocolLevel === 3 ? assumed(facts, connection, old) : packet.sessionPresent
  if (isSaid && cleanStart) broken('session', `${clientId} asked for a clean start and has none`)
  if (isSaid && old === null && !isGhost) {
    broken('session', `${clientId} has a session that nobody has begun`)
  }
  if (isSaid && old !== null && !isGhost && mustBeOver(facts, old, connection.tickMs)) {
    broken('session', `${clientId} has a session that has expired`)
  }
  const isKept = old !== null && !isGhost && !cleanStart && wasThere(facts, connection, old)
  if (!isSaid && isKept) broken('session', `${clientId} has lost its session ${old.number}`)
  return isSaid
}

/** It was there when CONNECT came, and nothing has taken it since. */
function wasThere(facts: Facts, connection: ConnectionRecord, old: SessionLife): boolean {
  const { connectMs } = connection
  return connectMs >= facts.lastCrashMs && mustExist(facts, old, connectMs)
}

/** MQTT 3.1 has no Session Present: what is not sure is taken for the same, nothing certain. */
function assumed(facts: Facts, connection: ConnectionRecord, old: SessionLife | null): boolean {
  if (connection.connect.cleanStart || old === null) return false
  if (facts.ghosts.has(old.clientId)) {
    makeUnsure(facts, old)
    return true
  }
  if (mustBeOver(facts, old, connection.tickMs)) return false
  if (!mustExist(facts, old)) makeUnsure(facts, old)
  return true
}

/** The connection has ended, the session stays or ends with it. */
export function detach(facts: Facts, connection: ConnectionRecord, end: ConnectionEnd): void {
  const life = connection.life
  connection.isClosed = true
  if (life === null || life.connection !== connection) return
  life.connection = null
  const isGoodbye = end === 'goodbye' || end === 'goodbye with will'
  const expiry = isGoodbye ? (connection.farewell?.expirySeconds ?? null) : null
  if (expiry !== null) {
    if (expiry !== life.expirySecondsMax) facts.coverage.count('a goodbye changes an expiry')
    life.expirySecondsMin = expiry
    life.expirySecondsMax = expiry
  }
  wills.detach(facts, connection, life, end)
  life.leftMsMin = facts.nowMs
  life.leftMsMax = facts.nowMs
  forgetGroups(facts, life)
  if (life.expirySecondsMax === 0) facts.endLife(life)
  else if (life.expirySecondsMin === 0) makeUnsure(facts, life)
}

/** What a member of a shared group did not finish goes back to the group. */
function forgetGroups(facts: Facts, life: SessionLife): void {
  const isMember = life.records.some(
    record =>
      record.group !== null && record.certainFrom < facts.at && record.certainUntil === NEVER,
  )
  if (isMember && life.underWay.size > 0) {
    facts.coverage.count('a member of a group goes with messages under way')
  }
  if (!life.records.some(record => record.group !== null)) return
  for (const entry of life.underWay.values()) if (entry.qos === 1) entry.isLoose = true
}

export function crash(facts: Facts, legacySeconds: number): void {
  for (const list of facts.connecting.values()) {
    for (const connection of list) ghost(facts, connection, legacySeconds, 'crash')
  }
  facts.connecting.clear()
  facts.attached.clear()
  for (const life of [...facts.lives.values()]) {
    const connection = life.connection
    if (connection !== null) {
      detach(facts, connection, 'crash')
      if (life.expirySecondsMax === 0) continue
    } else if (facts.nowMs - life.leftMsMax < UNSURE_AFTER_CRASH_MS) {
      life.expirySecondsMin = Math.min(life.expirySecondsMin, life.connectExpirySeconds)
      life.expirySecondsMax = Math.max(life.expirySecondsMax, life.connectExpirySeconds)
      life.leftMsMax = NEVER
    }
    if (connection !== null) life.leftMsMax = NEVER
    for (const entry of life.underWay.values()) if (entry.qos === 1) entry.isLoose = true
  }
  wills.crash(facts)
}

/** A session that was connected when the process died begins to expire now. */
export function restart(facts: Facts): void {
  for (const life of facts.lives.values()) {
    if (life.leftMsMax === NEVER) life.leftMsMax = facts.nowMs + SLACK_MS
  }
  wills.restart(facts)
}

/** A connection has ended before CONNACK was written: what it did to the session is not known. */
export function ghost(
  facts: Facts,
  connection: ConnectionRecord,
  legacySeconds: number,
  end: ConnectionEnd,
): void {
  connection.isClosed = true
  const { clientId, cleanStart } = connection.connect
  const life = facts.lives.get(clientId)
  if (connection.isStranger) return
  const seconds = expiryOf(connection.connect, legacySeconds)
  if (life !== undefined && !cleanStart && mustExist(facts, life) && seconds > 0) {
    life.expirySecondsMin = Math.min(life.expirySecondsMin, seconds)
    life.expirySecondsMax = Math.max(life.expirySecondsMax, seconds)
    life.leftMsMax = facts.nowMs
  } else {
    facts.ghosts.add(clientId)
    doubtRepetitions(facts, clientId)
    if (life !== undefined) makeUnsure(facts, life)
  }
  if (connection.early.length > 0) {
    subscriptions.haunt(facts, connection, life ?? passingLife(facts, connection))
  }
  wills.vanish(facts, connection, end)
  if (life?.will) life.will.dueMs = NEVER
}

/** One that nobody will hear of again, and that may have had a message of a group. */
function passingLife(facts: Facts, connection: ConnectionRecord): SessionLife {
  const life = lifeOf(facts, connection)
  life.isOver = true
  facts.allLives.push(life)
  return life
}

/**
 * Another CONNECT of the client came while this one waited for its session. It got none and left
 * none; but with a clean start it has ended the one that there was.
 */
export function giveWay(facts: Facts, connection: ConnectionRecord): void {
  connection.isClosed = true
  const { will } = connection
  if (will !== null) will.publication.forbidden = 'its CONNECT gave way to another'
  const life = facts.lives.get(connection.connect.clientId)
  // A crash may come before the end is durable.
  const isEnding = connection.connect.cleanStart && !connection.isStranger
  if (isEnding && life !== undefined) makeUnsure(facts, life)
}

/** The session is gone and the client may never hear of it: it would send what is finished. */
function doubtRepetitions(facts: Facts, clientId: string): void {
  for (const publication of facts.publications.values()) {
    if (publication.publisher === clientId) publication.mayRepeat = true
  }
}

function expiryOf(connect: ConnectPacket, legacySeconds: number): number {
  if (connect.protocolLevel === 5) return connect.properties.sessionExpiryInterval ?? 0
  return connect.cleanStart ? 0 : legacySeconds
}

function newLife(facts: Facts, connection: ConnectionRecord): SessionLife {
  const life = lifeOf(facts, connection)
  facts.allLives.push(life)
  facts.lives.set(life.clientId, life)
  return life
}

function lifeOf(facts: Facts, connection: ConnectionRecord): SessionLife {
  return {
    clientId: connection.connect.clientId,
    number: facts.allLives.length,
    beganAt: connection.connectAt,
    connection: null,
    isCertain: true,
    isOver: false,
    unsureAt: -1,
    expirySecondsMin: 0,
    expirySecondsMax: 0,
    connectExpirySeconds: 0,
    leftMsMin: 0,
    leftMsMax: 0,
    records: [],
    owed: new Map(),
    done: new Set(),
    underWay: new Map(),
    taken: new Map(),
    written: new Set(),
    newest: new Map(),
    will: null,
  }
}
