// The checker finds what it is there for: a round in which all is well passes, and each way in
// which a broker can break its word is planted into one and found.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, type Verdict } from './checker.ts'
import type { AnyEntry, Entry } from './ledger.ts'
import { type Carry, NOTHING_BEFORE } from './model.ts'

const DAY_SECONDS = 86_400
const SHARED = '$share/g/shop/#'

/** Writes a ledger as the load would: short names for what every test needs. */
class Round {
  readonly entries: Entry[] = []
  private nowMs = 1_000_000

  add(entry: AnyEntry): this {
    this.entries.push({ ...entry, ms: this.nowMs })
    this.nowMs += 10
    return this
  }

  wait(seconds: number): this {
    this.nowMs += seconds * 1000
    return this
  }

  connect(client: string, connection = 1, more: Partial<AnyEntry> = {}): this {
    const usual = { clean: false, expirySeconds: DAY_SECONDS, will: null }
    return this.add({ op: 'connect', client, connection, ...usual, ...more } as AnyEntry)
  }

  connack(client: string, connection = 1, present = false, code = 0): this {
    return this.add({ op: 'connack', client, connection, present, code })
  }

  closed(client: string, connection = 1): this {
    return this.add({ op: 'closed', client, connection })
  }

  disconnect(client: string, connection = 1): this {
    return this.add({ op: 'disconnect', client, connection }).closed(client, connection)
  }

  subscribed(client: string, filter: string, qos = 2): this {
    return this.add({ op: 'subscribe', client, filter, qos }).add({
      ...{ op: 'suback', client, filter, code: qos },
    })
  }

  unsubscribed(client: string, filter: string): this {
    return this.add({ op: 'unsubscribe', client, filter }).add({ op: 'unsuback', client, filter })
  }

  tries(id: string, topic: string, qos: number, more: Partial<AnyEntry> = {}): this {
    const usual = { retain: false, clears: false, expirySeconds: -1, again: false }
    return this.add({ op: 'try', id, client: 'p', topic, qos, ...usual, ...more } as AnyEntry)
  }

  ack(id: string, code = 0): this {
    return this.add({ op: 'ack', id, code })
  }

  published(id: string, topic: string, qos: number, more: Partial<AnyEntry> = {}): this {
    return this.tries(id, topic, qos, more).ack(id)
  }

  got(id: string, topic: string, qos: number, more: Partial<AnyEntry> = {}): this {
    const usual = { client: 's', connection: 1, dup: false, retain: false, packetId: 1 }
    return this.add({ op: 'got', id, topic, qos, ...usual, ...more } as AnyEntry)
  }

  crash(): this {
    return this.add({ op: 'crash' }).add({ op: 'up' })
  }

  audit(values: Readonly<Record<string, string>>): this {
    this.add({ op: 'audit' })
    for (const [topic, id] of Object.entries(values)) this.add({ op: 'kept', topic, id })
    return this.add({ op: 'audited' })
  }

  /** A subscriber `s` of `a/#` and a publisher `p`, with sessions that last. */
  static begun(qos = 2): Round {
    return new Round()
      .connect('s')
      .connack('s')
      .subscribed('s', 'a/#', qos)
      .connect('p')
      .connack('p')
  }
}

function judge(round: Round, carry: Carry = NOTHING_BEFORE): Verdict {
  return check(round.entries, carry)
}

function assertClean(round: Round, carry: Carry = NOTHING_BEFORE): Verdict {
  const verdict = judge(round, carry)
  assert.deepEqual(verdict.violations, [])
  return verdict
}

/** Exactly one violation, of this kind and about this. */
function assertFound(round: Round, pattern: RegExp, carry: Carry = NOTHING_BEFORE): void {
  const { violations } = judge(round, carry)
  assert.equal(violations.length, 1, `one violation expected, found:\n${violations.join('\n')}`)
  assert.match(violations[0] ?? '', pattern)
}

test('a round in which everything came once has no violation, and says how much was owed', () => {
  const round = Round.begun()
    .published('1', 'a/x', 1)
    .published('2', 'a/x', 2)
    .tries('3', 'a/x', 0)
    .got('1', 'a/x', 1)
    .got('2', 'a/x', 2)
    .got('3', 'a/x', 0)
  const verdict = assertClean(round)
  assert.deepEqual([verdict.owed, verdict.received, verdict.acknowledged], [2, 3, 2])
})

for (const qos of [1, 2]) {
  test(`an acknowledged message at QoS ${qos} that never came is lost`, () => {
    assertFound(Round.begun().published('1', 'a/x', qos).crash(), /^lost: 1 .* for s$/)
  })
}

test('an acknowledged message is owed to each session that had subscribed', () => {
  const round = Round.begun().connect('t').connack('t').subscribed('t', '+/x', 1)
  assertFound(round.published('1', 'a/x', 2).got('1', 'a/x', 2), /^lost: 1 .* for t$/)
})

test('nothing is owed that was not acknowledged, was refused, has QoS 0 or has expired', () => {
  const round = Round.begun()
    .tries('1', 'a/x', 2)
    .tries('2', 'a/x', 1)
    .ack('2', 0x97)
    .tries('3', 'a/x', 0)
    .published('4', 'a/x', 1, { expirySeconds: 1 })
  assert.equal(assertClean(round.crash()).owed, 0)
})

test('nothing is owed to a session that ends with its connection', () => {
  const clean = { clean: true, expirySeconds: 0 }
  const round = new Round().connect('s', 1, clean).connack('s').subscribed('s', 'a/#')
  assertClean(round.connect('p').connack('p').published('1', 'a/x', 1).closed('s'))
})

test('a message is owed only after SUBACK and before UNSUBSCRIBE', () => {
  const round = new Round().connect('s').connack('s').connect('p').connack('p')
  round.add({ op: 'subscribe', client: 's', filter: 'a/#', qos: 1 }).published('1', 'a/x', 1)
  round.add({ op: 'suback', client: 's', filter: 'a/#', code: 1 })
  round.add({ op: 'unsubscribe', client: 's', filter: 'a/#' }).published('2', 'a/x', 1)
  assertClean(round)
})

test('a subscription that was refused owes nothing, and nothing may come by it', () => {
  const round = new Round().connect('s').connack('s').connect('p').connack('p')
  round.add({ op: 'subscribe', client: 's', filter: 'a/#', qos: 1 })
  round.add({ op: 'suback', client: 's', filter: 'a/#', code: 0x97 }).published('1', 'a/x', 1)
  assertClean(round)
  assertFound(round.got('1', 'a/x', 1), /^unasked: 1 /)
})

test('a subscription that a crash took away is found by what does not come any more', () => {
  const round = Round.begun().crash().connect('s', 2).connack('s', 2, true)
  assertFound(round.published('1', 'a/x', 1), /^lost: 1 /)
})

test('a message at QoS 2 that comes twice is found, before and after a crash', () => {
  const round = Round.begun().published('1', 'a/x', 2).got('1', 'a/x', 2)
  assertFound(round.got('1', 'a/x', 2), /^twice: 1 came to s 2 times at QoS 2/)
  const later = Round.begun().published('1', 'a/x', 2).got('1', 'a/x', 2).closed('s').crash()
  later.connect('s', 2).connack('s', 2, true)
  assertFound(later.got('1', 'a/x', 2, { dup: true, connection: 2 }), /^twice: 1 /)
})

test('a message at QoS 0 that comes twice is found', () => {
  const round = Round.begun().tries('1', 'a/x', 0).got('1', 'a/x', 0)
  assertFound(round.got('1', 'a/x', 0), /^twice: 1 came to s 2 times at QoS 0/)
})

test('a message at QoS 1 may come again with DUP on another connection only', () => {
  const round = Round.begun().published('1', 'a/x', 1).got('1', 'a/x', 1).closed('s')
  round.connect('s', 2).connack('s', 2, true)
  assertClean(round.got('1', 'a/x', 1, { dup: true, connection: 2 }))
  const same = Round.begun().published('1', 'a/x', 1).got('1', 'a/x', 1)
  assertFound(same.got('1', 'a/x', 1, { dup: true }), /^dup: 1 .* cannot have been sent before/)
})

test('a message at QoS 1 that comes again as if it were new is found', () => {
  const round = Round.begun().published('1', 'a/x', 1).got('1', 'a/x', 1)
  assertFound(round.got('1', 'a/x', 1), /^dup: 1 .*2 of them without DUP, at most 1/)
})

test('what the publisher sends again, and what a crash made forget, may come again as new', () => {
  const round = Round.begun().tries('1', 'a/x', 1).got('1', 'a/x', 1).tries('1', 'a/x', 1).ack('1')
  assertClean(round.got('1', 'a/x', 1))
  const crashed = Round.begun().published('1', 'a/x', 1).got('1', 'a/x', 1).closed('s').crash()
  crashed.connect('s', 2).connack('s', 2, true)
  assertClean(crashed.got('1', 'a/x', 1, { connection: 2 }))
  const both = Round.begun().tries('1', 'a/x', 1).got('1', 'a/x', 1).tries('1', 'a/x', 1).ack('1')
  both.got('1', 'a/x', 1).closed('s').crash().connect('s', 2).connack('s', 2, true)
  assertClean(both.got('1', 'a/x', 1, { connection: 2 }).got('1', 'a/x', 1, { connection: 2 }))
  assertFound(both.got('1', 'a/x', 1, { connection: 2 }), /^dup: 1 .*5 of them .*at most 4/)
})

test('DUP on a message that was published while its receiver was away is found', () => {
  const round = Round.begun().disconnect('s').published('1', 'a/x', 1).connect('s', 2)
  round.connack('s', 2, true)
  assertFound(round.got('1', 'a/x', 1, { dup: true, connection: 2 }), /^dup: 1 /)
})

test('a repetition within a QoS 2 handshake has DUP and the same message', () => {
  const round = Round.begun().published('1', 'a/x', 2).got('1', 'a/x', 2)
  const repeat = { op: 'repeat', client: 's', firstId: '1' } as const
  assertClean(
    Round.begun()
      .published('1', 'a/x', 2)
      .got('1', 'a/x', 2)
      .add({
        ...{ ...repeat, id: '1', dup: true },
      }),
  )
  assertFound(round.add({ ...repeat, id: '1', dup: false }), /^dup: 1 came again without DUP/)
  const other = Round.begun().published('1', 'a/x', 2).got('1', 'a/x', 2)
  assertFound(other.add({ ...repeat, id: '2', dup: true }), /^dup: 2 for s has the identifier of 1/)
})

test('a message that nobody sent, or with other bytes, is found', () => {
  assertFound(Round.begun().got('9', 'a/x', 1), /^invented: "9"/)
  assertFound(Round.begun().tries('1', 'a/x', 0).got('', 'a/x', 0), /^invented: ""/)
})

test('a message that comes on another topic is found', () => {
  const round = Round.begun().published('1', 'a/x', 1).got('1', 'a/y', 1)
  assertFound(round, /^invented: 1 was for a\/x, not a\/y/)
})

test('a message that was refused and comes nevertheless is found', () => {
  const round = Round.begun().tries('1', 'a/x', 1).ack('1', 0x97).got('1', 'a/x', 1)
  assertFound(round, /^refused: 1 /)
})

test('a message after UNSUBACK is found, one that was published before is not', () => {
  const round = Round.begun().published('1', 'a/x', 1).unsubscribed('s', 'a/#').got('1', 'a/x', 1)
  assertClean(round)
  assertFound(round.published('2', 'a/x', 1).got('2', 'a/x', 1), /^unasked: 2 /)
})

test('an unsubscription that a crash took back is found', () => {
  const round = Round.begun().unsubscribed('s', 'a/#').closed('s').crash()
  round.connect('s', 2).connack('s', 2, true).published('1', 'a/x', 1)
  assertFound(round.got('1', 'a/x', 1, { connection: 2 }), /^unasked: 1 /)
})

test('a queue that was dropped by a clean start and comes back is found', () => {
  const round = Round.begun().published('1', 'a/x', 1).closed('s')
  round.connect('s', 2, { clean: true }).connack('s', 2)
  assertClean(round)
  assertFound(round.got('1', 'a/x', 1, { connection: 2 }), /^unasked: 1 /)
})

test('a QoS other than the lower of both is found', () => {
  const round = Round.begun(1).published('1', 'a/x', 2).got('1', 'a/x', 2)
  assertFound(round, /^qos: 1 came to s at QoS 2, not 1/)
})

test('RETAIN on a message that was not retained for this subscriber is found', () => {
  const round = Round.begun().published('1', 'a/x', 1).got('1', 'a/x', 1, { retain: true })
  assertFound(round, /^retain: 1 /)
})

test('a younger message before an older one of its topic is found', () => {
  const round = Round.begun().published('1', 'a/x', 1).published('2', 'a/x', 1)
  assertFound(round.got('2', 'a/x', 1).got('1', 'a/x', 1), /^order: 1 came to s after 2/)
})

test('no order is asked of other topics, other QoS and what comes again', () => {
  const round = Round.begun().published('1', 'a/x', 1).published('2', 'a/y', 1)
  round.published('3', 'a/x', 2).got('3', 'a/x', 2).got('2', 'a/y', 1).got('1', 'a/x', 1)
  round.closed('s').connect('s', 2).connack('s', 2, true)
  assertClean(round.got('2', 'a/y', 1, { dup: true, connection: 2 }))
})

test('what was sent before a subscription and again after it is young for it', () => {
  const round = new Round().connect('p').connack('p').tries('1', 'a/x', 1)
  round.connect('s').connack('s').subscribed('s', 'a/#').tries('2', 'a/x', 1).got('2', 'a/x', 1)
  round.tries('1', 'a/x', 1).tries('2', 'a/x', 1)
  assertClean(round.got('1', 'a/x', 1).got('2', 'a/x', 1))
})

test('what has expired and is sent again is young', () => {
  const round = Round.begun().tries('1', 'a/x', 1, { expirySeconds: 1 }).tries('2', 'a/x', 1)
  round.wait(5).got('2', 'a/x', 1).tries('1', 'a/x', 1).tries('2', 'a/x', 1)
  assertClean(round.got('1', 'a/x', 1).got('2', 'a/x', 1))
})

test('a message that comes long after its expiry is found', () => {
  const round = Round.begun().published('1', 'a/x', 1, { expirySeconds: 2 }).wait(1)
  assertClean(round.got('1', 'a/x', 1))
  const late = Round.begun().published('1', 'a/x', 1, { expirySeconds: 2 }).wait(9)
  assertFound(late.got('1', 'a/x', 1), /^expired: 1 /)
})

test('a message of a group is owed once, to any member', () => {
  const begin = (): Round => {
    const round = new Round().connect('s').connack('s').subscribed('s', SHARED)
    return round.connect('t').connack('t').subscribed('t', SHARED).published('1', 'shop/x', 2)
  }
  assertClean(begin().got('1', 'shop/x', 2, { client: 't' }))
  assertFound(begin(), /^lost: 1 .* for \$share/)
  const twice = begin().got('1', 'shop/x', 2).got('1', 'shop/x', 2, { client: 't' })
  assertFound(twice, /^twice: 1 came to \$share\/g\/shop\/# 2 times at QoS 2/)
})

const WILL = { id: 'w', topic: 'a/will', qos: 1, delaySeconds: 0 }

test('the will of a client that was connected when the broker died is owed', () => {
  const round = Round.begun().connect('v', 1, { will: WILL }).connack('v').closed('v').crash()
  assertFound(round, /^lost: w \(the will\)/)
  assertClean(round.got('w', 'a/will', 1))
})

test('a will is not owed after DISCONNECT, without CONNACK, or by a passing session', () => {
  const round = Round.begun().connect('v', 1, { will: WILL }).connack('v').disconnect('v')
  round.connect('u', 1, { will: { ...WILL, id: 'u' } }).closed('u')
  const clean = { clean: true, expirySeconds: 0 }
  round
    .connect('t', 1, { ...clean, will: { ...WILL, id: 't' } })
    .connack('t')
    .closed('t')
  assertClean(round.crash())
})

test('a session that is lost is found, and one that should be gone', () => {
  const lost = Round.begun().disconnect('s').crash().connect('s', 2).connack('s', 2, false)
  assertFound(lost, /^session: that of s is lost/)
  const invented = new Round().connect('s').connack('s', 1, true)
  assertFound(invented, /^session: that of s should be gone/)
  const clean = Round.begun().disconnect('s').connect('s', 2, { clean: true }).connack('s', 2, true)
  assertFound(clean, /^session: s is told of a session after a clean start/)
})

test('a session whose expiry has passed while the broker was down is gone', () => {
  const begin = (): Round => new Round().connect('s', 1, { expirySeconds: 1 }).connack('s')
  const round = begin().closed('s').crash().wait(8).connect('s', 2, { expirySeconds: 1 })
  assertFound(round.connack('s', 2, true), /^session: that of s should be gone/)
  const fine = begin().closed('s').crash().wait(8).connect('s', 2, { expirySeconds: 1 })
  assertClean(fine.connack('s', 2, false))
})

const RETAINED = { retain: true }

test('the last acknowledged retained message is there, or a later one', () => {
  const round = Round.begun().published('1', 'r', 1, RETAINED).tries('2', 'r', 1, RETAINED).crash()
  const after = (values: Record<string, string>): Round => {
    const copy = new Round()
    for (const entry of round.entries) copy.entries.push(entry)
    return copy.audit(values)
  }
  assertClean(after({ r: '1' }))
  assertClean(after({ r: '2' }))
  assertFound(after({}), /^retained: nothing on r, where 1 or 2 should be/)
})

test('a retained message that is older than the last acknowledged one is found', () => {
  const round = Round.begun().published('1', 'r', 1, RETAINED).published('2', 'r', 1, RETAINED)
  assertFound(round.crash().audit({ r: '1' }), /^retained: 1 on r, where 2 should be/)
})

test('a retained message at QoS 1 that is sent again comes after one at QoS 2', () => {
  const begin = (again: number): Round => {
    const round = Round.begun().tries('1', 'r', 1, RETAINED).tries('2', 'r', again, RETAINED)
    round.tries('1', 'r', 1, RETAINED).tries('2', 'r', again, RETAINED).ack('1').ack('2')
    return round.audit({ r: '1' })
  }
  assertClean(begin(2))
  assertFound(begin(1), /^retained: 1 on r, where 2 should be/)
})

test('a retained message that was cleared and comes back is found', () => {
  const round = Round.begun().published('1', 'r', 1, RETAINED)
  round.published('2', 'r', 1, { retain: true, clears: true }).crash()
  assertFound(round.audit({ r: '1' }), /^retained: 1 on r, where 2 should be/)
})

test('a retained message on a topic where nobody wrote is found, and one that came twice', () => {
  assertFound(Round.begun().audit({ r: '1' }), /^invented: retained on r/)
  const twice = Round.begun().published('1', 'r', 1, RETAINED).add({ op: 'audit' })
  twice.add({ op: 'kept', topic: 'r', id: '1' }).add({ op: 'kept', topic: 'r', id: '1' })
  assertFound(twice.add({ op: 'audited' }), /^retained: r came twice/)
})

test('a retained message is gone after its expiry, and there before', () => {
  const begin = (): Round =>
    Round.begun().published('1', 'r', 1, { retain: true, expirySeconds: 5 }).crash()
  assertFound(begin().wait(20).audit({ r: '1' }), /^expired: 1 is retained after its expiry/)
  assertClean(begin().wait(20).audit({}))
  assertFound(begin().audit({}), /^retained: nothing on r/)
})

test('the next round knows what the last one left', () => {
  const first = Round.begun().published('1', 'a/x', 2).got('1', 'a/x', 2)
  const { carry } = assertClean(first.published('2', 'r', 1, RETAINED).audit({ r: '2' }))
  assertClean(new Round().published('3', 'a/x', 2).got('3', 'a/x', 2).audit({ r: '2' }), carry)
  assertFound(new Round().published('3', 'a/x', 2).audit({ r: '2' }), /^lost: 3 /, carry)
  assertFound(new Round().audit({}), /^retained: nothing on r, where 2 should be/, carry)
  assertFound(new Round().got('1', 'a/x', 2).audit({ r: '2' }), /^twice: 1 .* a round later/, carry)
  const gone = new Round().closed('s').connect('s', 2).connack('s', 2, false).audit({ r: '2' })
  assertFound(gone, /^session: that of s is lost/, carry)
})

test('a message that comes for the first time a round too late is found', () => {
  const { carry } = judge(Round.begun().tries('1', 'a/x', 1))
  assertFound(new Round().got('1', 'a/x', 1), /^late: 1 /, carry)
})

test('what the load itself found odd is a violation', () => {
  assertFound(Round.begun().add({ op: 'odd', text: 's sent what is no packet' }), /^odd: s sent/)
  assertFound(Round.begun().ack('7'), /^odd: 7 is acknowledged, nobody sent it/)
})
