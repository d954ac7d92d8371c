// Deliberate bugs: each replaces one place of one source. A text that is found no more, or twice,
// fails the test of this table, so that it follows the code.

import { MORE_MUTATIONS } from './mutations-more.ts'

export interface Mutation {
  readonly name: string
  /** Below packages/, a TypeScript source. */
  readonly file: string
  readonly find: string
  readonly replace: string
  /** Compiled test files that may catch what the simulation does not meet. */
  readonly tests?: readonly string[]
  /** The simulations do not meet it: only the tests are asked. */
  readonly isOutside?: boolean
}

const CORE = 'broker/src/core'
const STORE = 'broker/src/store'
const PACKET = 'packet/src'

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'PUBACK and PUBREC do not wait for the disk',
    file: `${CORE}/handlers/publish.ts`,
    find: 'const batch = forwarder.stored ? store.openBatch : NO_BATCH',
    replace: 'const batch = NO_BATCH',
  },
  {
    name: 'CONNACK does not wait for the disk',
    file: `${CORE}/handlers/connect.ts`,
    find: 'const batch = isStored && ports.store.dirty ? ports.store.openBatch : removed',
    replace: 'const batch = NO_BATCH',
    tests: ['packages/broker/dist/core'],
  },
  {
    name: 'DUP is missing on what is sent again',
    file: `${CORE}/queues.ts`,
    find: '      identifiers,\n      sentBefore,\n',
    replace: '      identifiers,\n      false,\n',
  },
  {
    name: 'the window takes one message too many',
    file: `${CORE}/forward.ts`,
    find: 'if (inflight.active >= connection.sendMaximum) return false',
    replace: 'if (inflight.active > connection.sendMaximum) return false',
  },
  {
    name: 'what is in flight is not sent again on the next connection',
    file: `${CORE}/sessions.ts`,
    find: 'session.inflight?.rewind()',
    replace: '',
  },
  {
    name: 'a packet identifier is given while it is in use',
    file: `${CORE}/inflight.ts`,
    find: 'return idAfter(this.headId, this.span - 1)',
    replace: 'return idAfter(this.headId, (this.span - 1) % 3)',
  },
  {
    name: 'new messages go to the front of the queue',
    file: `${CORE}/queues.ts`,
    find: 'session.queue.push(delivery)',
    replace: 'session.queue.unshift([delivery])',
  },
  {
    name: 'an expired message is delivered',
    file: `${CORE}/queues.ts`,
    find: 'message.expiresAtMs !== NEVER_EXPIRES && message.expired(',
    replace: 'message.expiresAtMs < 0 && message.expired(',
  },
  {
    name: 'a message that is dropped from a full queue is not in the ledger',
    file: `${CORE}/queues.ts`,
    find: "this.lose('queue-full', session, oldest.message)",
    replace: '',
  },
  {
    name: 'QoS 2 is delivered again when it is repeated',
    file: `${CORE}/handlers/publish.ts`,
    find: 'if (session !== null && received?.has(packetId)) {',
    replace: 'if (session !== null && received?.has(-packetId)) {',
  },
  {
    name: 'a QoS 2 identifier that came is not stored',
    file: `${CORE}/handlers/publish.ts`,
    find: 'broker.ports.store.putReceived(session.storedId, packetId)',
    replace: '',
  },
  {
    name: 'PUBREL does not free the identifier',
    file: `${CORE}/handlers/publish.ts`,
    find: 'if (session.received?.delete(packetId) !== true) return false',
    replace: 'if (session.received?.has(packetId) !== true) return false',
  },
  {
    name: 'PUBREC is forgotten: the message is sent again and not PUBREL',
    file: `${CORE}/handlers/acks.ts`,
    find: '    inflight.release(packetId)\n',
    replace: '',
  },
  {
    name: 'a session expires a second early',
    file: `${CORE}/sessions.ts`,
    find: 'monotonicMs() + session.expirySeconds * 1000',
    replace: 'monotonicMs() + (session.expirySeconds - 1) * 1000',
  },
  {
    name: 'a session expires a second late',
    file: `${CORE}/sessions.ts`,
    find: 'monotonicMs() + session.expirySeconds * 1000',
    replace: 'monotonicMs() + (session.expirySeconds + 1) * 1000',
  },
  {
    name: 'a clean start keeps the old session',
    file: `${CORE}/handlers/connect.ts`,
    find: 'sessions.end(session) // [MQTT-3.1.2-4]',
    replace: '',
  },
  {
    name: 'a takeover does not end the other connection',
    file: `${CORE}/handlers/connect.ts`,
    find: '  session.takenOver = true\n',
    replace: '  if (broker !== null) return\n  session.takenOver = true\n',
  },
  {
    name: 'a wildcard subscription does not invalidate remembered routes',
    file: `${CORE}/router.ts`,
    find: '      this.generation++\n      return',
    replace: '      return',
  },
  {
    name: 'an exact subscription does not invalidate its remembered route',
    file: `${CORE}/router.ts`,
    find: 'if (route !== undefined && route.topic === filter) route.generation = FORGOTTEN',
    replace: '',
  },
  {
    name: 'the subscriptions of an ended session stay',
    file: `${CORE}/sessions.ts`,
    find: 'for (const subscription of session.subscriptions()) this.unsub',
    replace: 'for (const subscription of []) this.unsub',
  },
  {
    name: 'a will is published twice',
    file: `${CORE}/sessions.ts`,
    find: '    this.dropWill(session) // [MQTT-3.1.2-10]\n    this.broker.wills.publish(will)',
    replace: '    this.broker.wills.publish(will)\n    this.broker.wills.publish(will)',
  },
  {
    name: 'a will is published though the client said goodbye',
    file: `${CORE}/sessions.ts`,
    find: 'if (will !== null && !withWill) this.dropWill(session)',
    replace: 'if (will !== null && withWill) this.dropWill(session)',
  },
  {
    name: 'a will is published though the client came back in time',
    file: `${CORE}/sessions.ts`,
    find: 'this.dropWill(session) // [MQTT-3.1.3-9]',
    replace: '',
  },
  {
    name: 'an empty retained message does not clear the topic',
    file: `${CORE}/retainer.ts`,
    find: 'this.remove(topic) // [MQTT-3.3.1-6] [MQTT-3.3.1-7]',
    replace: '',
  },
  {
    name: 'Retain Handling 1 sends retained messages at each subscription',
    file: `${CORE}/handlers/subscribe.ts`,
    find: '(known === null && retainHandling < RETAIN_NEVER)',
    replace: '(retainHandling < RETAIN_NEVER)',
  },
  {
    name: 'RETAIN is kept though it was not asked for',
    file: `${CORE}/forward.ts`,
    find: 'const retain = message.retain && receiver.retainAsPublished',
    replace: 'const retain = message.retain',
  },
  {
    name: 'No Local is ignored',
    file: `${CORE}/forward.ts`,
    find: 'if (receiver.noLocal && this.isOwn(receiver, from)) {',
    replace: 'if (receiver.noLocal && receiver === null) {',
  },
  {
    name: 'a packet that is too large for its receiver is sent',
    file: `${CORE}/forward.ts`,
    find: '    if (length > connection.sendBytesMax) {',
    replace: '    if (length < 0) {',
  },
  {
    name: 'a new topic alias is sent without its topic',
    file: `${CORE}/forward.ts`,
    find: '    form.alias = next\n    return true',
    replace: '    form.alias = next\n    form.aliasKnown = true\n    return true',
  },
  {
    name: 'a topic alias that came is taken from the connection before',
    file: `${CORE}/aliases.ts`,
    find: '    this.routes[alias] = route\n',
    replace: '    this.routes[alias] ??= route\n',
  },
  {
    name: 'a shared group gives messages to members that are away',
    file: `${CORE}/groups.ts`,
    find: 'if (connection === null || !connection.ready) return false',
    replace: 'if (connection === null || !connection.ready) return true',
  },
  {
    name: 'an acknowledged message stays in the store',
    file: `${CORE}/queues.ts`,
    find: 'this.broker.ports.store.removeDelivery(delivery.ownerId, delivery.sequence)',
    replace: '',
  },
  {
    name: 'after a restart the queue counts from the beginning again',
    file: `${CORE}/restorer.ts`,
    find: 'sleepers.nextSequence.set(slot, sequenceMax + 1)',
    replace: 'sleepers.nextSequence.set(slot, 1)',
  },
  {
    name: 'after a restart what was in flight waits in the queue as well',
    file: `${CORE}/sleep.ts`,
    find: '      delivery.sentBefore = true\n',
    replace:
      '      session.queue ??= new DeliveryQueue()\n' +
      '      session.queue.push(delivery)\n      delivery.sentBefore = true\n',
  },
  {
    name: 'acknowledgements overtake those that wait for the disk',
    file: `${CORE}/sender.ts`,
    find: ' || this.holds(connection)) {\n      this.hold(connection, (type',
    replace: ') {\n      this.hold(connection, (type',
  },
  {
    name: 'keep alive never times out',
    file: `${CORE}/broker.ts`,
    find: "this.close(connection, ReasonCode.KEEP_ALIVE_TIMEOUT, 'keep alive timed out')",
    replace: 'void 0',
    tests: ['packages/broker/dist/core'],
  },
  {
    name: 'a torn frame of the log counts',
    file: `${STORE}/log-format.ts`,
    find: 'if (bytes.readUInt32LE(at + 4) !== checksumOf(bytes, at, end, seed)) return null',
    replace: 'void seed',
  },
  {
    name: 'records behind an unreadable part of the log are left out without a word',
    file: `${STORE}/log-scanner.ts`,
    find: 'if (sequence > expected && this.options.salvage) {',
    replace: 'if (sequence > expected) {',
    tests: ['packages/broker/dist/store/log.test.js'],
  },
  {
    name: 'a frame that two chunks cut apart loses its last byte',
    file: `${PACKET}/decoder.ts`,
    find: '    if (take < missing) return this.wait()\n',
    replace: '    if (take < missing - 1) return this.wait()\n',
  },
  {
    name: 'own retained messages come in spite of No Local',
    file: `${CORE}/retainer.ts`,
    find: 'if (job.noLocal && message.publisher === session.clientId) return',
    replace: 'void session',
  },
  {
    name: 'a will goes out though its client came in time and waits for the store',
    file: `${CORE}/sleep.ts`,
    find: 'const atMs = isWaiting(connection) ? waking.cameMs : this.nowMs',
    replace: 'const atMs = this.nowMs',
  },
  {
    name: 'a retained message that nobody receives is not written down',
    file: `${CORE}/retainer.ts`,
    find: '    this.broker.sender.requestTurn()\n    return true\n',
    replace: '    return true\n',
  },
  {
    name: 'a message that a guard refuses later is delivered',
    file: `${CORE}/handlers/publish.ts`,
    find: '    if (verdict !== 0) {\n      const reasonCode',
    replace: '    if (verdict === 1) {\n      const reasonCode',
  },
  {
    name: 'the log is not synced before the acknowledgement',
    file: `${STORE}/log.ts`,
    find: '    await segment.file.sync()\n',
    replace: '',
  },
  {
    name: 'the new name of a segment is not synced',
    file: `${STORE}/segments.ts`,
    find: '      await fileSystem.syncDirectory(directory)\n',
    replace: '',
  },
  {
    name: 'a segment is used again before the database has its last batches',
    file: `${STORE}/segments.ts`,
    find: 'one.lastSequence <= appliedSequence && one.number < firstSegment',
    replace: 'one.lastSequence <= appliedSequence + 3',
  },
  {
    name: 'a small checkpoint is told and not made',
    file: `${STORE}/replica.ts`,
    find: 'if (this.sequence !== this.state.appliedSequence) {',
    replace: 'if (this.sequence !== this.state.appliedSequence && this.overlay.weight > 8000) {',
  },
  {
    name: 'a checkpoint forgets the states of what it has in queues',
    file: `${STORE}/state.ts`,
    find: '        statements.putInflight.run([packetId, state, sessionId, sequence])\n',
    replace: '        void [packetId, state, sessionId, sequence]\n',
  },
  {
    name: 'a checkpoint leaves the subscriptions of an ended session',
    file: `${STORE}/state.ts`,
    find: '      statements.removeSubscriptions.run([id])\n',
    replace: '',
  },
  {
    name: 'a message goes from the database while one still refers to it',
    file: `${STORE}/state.ts`,
    find: 'if (count <= 0) statements.removeMessage.run([id])',
    replace: 'if (count <= 1) statements.removeMessage.run([id])',
  },
  {
    name: 'the overlay forgets the removal of what the database has',
    file: `${STORE}/overlay.ts`,
    find: '      queue.set(sequence, null)\n',
    replace: '',
  },
  {
    name: 'a page has what was removed since the checkpoint',
    file: `${STORE}/page-writer.ts`,
    find: '        if (removed?.get(delivery.sequence) === null) continue\n',
    replace: '        void removed\n',
  },
  {
    name: 'a page has the state of the last checkpoint',
    file: `${STORE}/page-writer.ts`,
    find: "const state = change?.state ?? Number(row['state'])",
    replace: "const state = Number(row['state'])",
  },
  {
    name: 'a page is read before what was written last',
    file: `${STORE}/disk.ts`,
    find: '      if (this.untoldBytes > 0) this.tell()\n',
    replace: '',
  },
  {
    name: 'wills of the connections of a dead process wait for ever',
    file: `${STORE}/state.ts`,
    find: '    this.statements.startWills.run([wallMs])\n',
    replace: '',
    tests: ['packages/broker/dist/store/found-by-simulation.test.js'],
  },
  {
    name: 'recovery takes batches that the database has once more',
    file: `${STORE}/log-scanner.ts`,
    find: '      if (sequence > this.options.appliedSequence) {',
    replace: '      if (sequence >= this.options.appliedSequence) {',
  },
  ...MORE_MUTATIONS,
]
