// When all is quiet nothing is owed: every acknowledged message has reached every session that it
// was for, or stands in the ledger; every publisher has its answer.

import type { LedgerEntry } from '@godwit/broker/core/ledger'
import type { Facts, GroupDebt, Publication, SubscriptionRecord } from '../facts.ts'
import { NEVER } from '../facts.ts'
import { broken } from '../failure.ts'
import { describe } from '../questions.ts'
import { unsent } from './retained.ts'

/** Losses of sessions that ended, and of messages that were never accepted, explain nothing. */
const EXPLAINING: ReadonlySet<string> = new Set([
  'outgoing-full',
  'queue-full',
  'total-queue-full',
  'packet-too-large',
  'storage-full',
])
const EXPIRED = 'expired'

export function settle(facts: Facts, ledger: readonly LedgerEntry[]): void {
  const missing = missingMessages(facts)
  for (const [place, publications] of missing) {
    const [clientId = '', topic = ''] = place.split('\0')
    const lost = losses(ledger, topic, new Set([clientId]))
    const lasting = publications.filter(publication => publication.expirySeconds < 0)
    const unexplained =
      lasting.length > lost.full ? lasting : publications.length > lost.all ? publications : null
    if (unexplained === null) continue
    const first = unexplained[0]
    const what = first === undefined ? '' : describe(first)
    const counts = `${unexplained.length} messages are missing, the ledger has ${lost.all}`
    broken('at-least-once', `${clientId} never got ${what} and others: ${counts}`)
  }
  settleGroups(facts, ledger)
  for (const connection of facts.connections.values()) {
    if (connection.isClosed) continue
    const { clientId } = connection.connect
    const waiting = connection.puback.length + connection.pubrec.length + connection.pubcomp.length
    if (waiting > 0) broken('answer', `${clientId} waits for ${waiting} acknowledgements`)
    const asked = connection.suback.size + connection.unsuback.size
    if (asked > 0) broken('answer', `${clientId} waits for ${asked} answers`)
    if (connection.pings > 0) broken('answer', `${clientId} waits for ${connection.pings} PINGRESP`)
  }
}

function missingMessages(facts: Facts): Map<string, Publication[]> {
  const missing = new Map<string, Publication[]>()
  for (const [place, publications] of facts.missing) missing.set(place, publications.slice())
  const add = (clientId: string, publication: Publication): void => {
    const place = `${clientId}\0${publication.topic}`
    const list = missing.get(place)
    if (list === undefined) missing.set(place, [publication])
    else list.push(publication)
  }
  for (const life of facts.lives.values()) {
    if (!life.isCertain) continue
    for (const publication of life.owed.values()) add(life.clientId, publication)
    if (life.connection === null) continue
    for (const publication of life.connection.owed.values()) add(life.clientId, publication)
    for (const publication of unsent(facts, life.connection)) add(life.clientId, publication)
  }
  return missing
}

function losses(
  ledger: readonly LedgerEntry[],
  topic: string,
  owners: ReadonlySet<string>,
): { full: number; all: number } {
  let full = 0
  let expired = 0
  for (const entry of ledger) {
    if (entry.topic !== topic || !owners.has(entry.clientId)) continue
    if (EXPLAINING.has(entry.reason)) full += entry.count
    else if (entry.reason === EXPIRED) expired += entry.count
  }
  return { full, all: full + expired }
}

function settleGroups(facts: Facts, ledger: readonly LedgerEntry[]): void {
  const records = facts.allLives.flatMap(life => life.records)
  const missing = new Map<string, { debts: GroupDebt[]; owners: Set<string> }>()
  for (const debt of facts.groupsOwed) {
    const { publication, group } = debt
    const members = records.filter(
      record => record.group === group && record.possibleUntil >= publication.firstAt,
    )
    checkOnce(publication, members)
    if (members.some(isUnsteady)) continue
    if (members.some(member => member.life.done.has(publication.key))) continue
    const place = `${group}\0${publication.topic}`
    const entry = missing.get(place) ?? { debts: [], owners: new Set([group]) }
    missing.set(place, entry)
    entry.debts.push(debt)
    // Who joined later may have been given it as well, and may take no packet of its size.
    for (const { life } of members) entry.owners.add(life.clientId)
  }
  for (const [place, { debts, owners }] of missing) {
    const [group = '', topic = ''] = place.split('\0')
    const lost = losses(ledger, topic, owners)
    if (debts.length <= lost.all) continue
    const first = debts[0]
    const what = first === undefined ? '' : describe(first.publication)
    broken('group', `no member of ${group} got ${what}: ${debts.length} are missing`)
  }
}

/** What such a member has begun with may be gone with it. */
function isUnsteady(member: SubscriptionRecord): boolean {
  return (
    member.granted === 0 ||
    member.life.isOver ||
    member.certainUntil !== NEVER ||
    member.certainFrom === NEVER
  )
}

/** A QoS 2 message is taken by one member, when all members are there for nothing else. */
function checkOnce(publication: Publication, members: readonly SubscriptionRecord[]): void {
  if (publication.qos !== 2 || publication.mayRepeat) return
  const lives = new Set(members.map(member => member.life))
  let count = 0
  for (const life of lives) {
    if (life.records.some(record => record.group !== members[0]?.group)) return
    count += life.taken.get(publication.key) ?? 0
  }
  if (count > 1) broken('group', `${describe(publication)} was taken by ${count} members`)
}
