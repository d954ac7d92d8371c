// Reads the numbers of a broker for its metrics: from the core, piece by piece where there may be
// many, from the store and from the process.

import { isReasonCode, PacketType, ReasonCode } from '@godwit/packet'
import type { ByQos, CoreReadings } from './admin/readings.ts'
import type { Broker as Core } from './core/broker.ts'
import type { Counters } from './core/counters.ts'
import { DROP_REASONS } from './core/ledger.ts'
import { Survey } from './core/survey.ts'

/** Sessions that are looked at before others have a turn: about half a millisecond. */
const SURVEY_STEP = 10_000

/** Takes several turns where there are many sessions. */
export async function readCore(core: Core): Promise<CoreReadings> {
  const survey = new Survey(core)
  while (survey.step(SURVEY_STEP)) await new Promise(resolve => setImmediate(resolve))
  const { counters, sessions, retainer, ledger, sender, limits } = core
  const { store } = core.ports
  return {
    connections: counters.connectionsNow,
    connectionsMax: limits.connectionsMax,
    connectionsOpened: counters.connectionsOpened,
    connectionsRefused: refusedOf(counters),
    clientsConnected: counters.clientsConnected,
    clientsConnectedPeak: counters.clientsMaximum,
    sessionsConnected: counters.clientsConnected,
    sessionsDisconnected: sessions.count - counters.clientsConnected,
    sessionsExpired: counters.clientsExpired,
    sessionTakeovers: counters.takeovers,
    protocolErrors: counters.protocolErrors,
    keepAliveTimeouts: counters.keepAliveTimeouts,
    authenticationFailures: counters.authenticationFailures,
    packetsReceived: counters.packetsReceived,
    packetsSent: counters.packetsSent,
    bytesReceived: counters.bytesReceived,
    bytesSent: counters.bytesSent,
    messagesReceived: byQos(
      counters.publishReceived,
      counters.publishReceivedQos1,
      counters.publishReceivedQos2,
    ),
    messagesSent: byQos(counters.publishSent, counters.publishSentQos1, counters.publishSentQos2),
    messageBytesReceived: counters.publishBytesReceived,
    messageBytesSent: counters.publishBytesSent,
    messagesUnmatched: counters.unmatched,
    messagesLost: new Map(DROP_REASONS.map(reason => [reason, ledger.totalOf(reason)])),
    willsPublished: counters.willsPublished,
    messagesInFlight: survey.inFlight,
    messagesQueued: survey.queuedMessages,
    queuedBytes: survey.queuedBytes,
    outgoingBytes: sender.totalPendingBytes,
    retainedMessages: retainer.messages.count,
    retainedBytes: retainer.messages.bytes,
    subscriptions: core.subscriptionCount,
    sharedGroups: core.groups.count,
    storeFull: store.full,
    storeLow: store.low,
    storeFreeBytes: store.freeBytes,
  }
}

function byQos(all: number, qos1: number, qos2: number): ByQos {
  return [all - qos1 - qos2, qos1, qos2]
}

/** The reasons that CONNACK has are there from the start, most at 0; others once given. */
function refusedOf({ refusedByReason }: Counters): ReadonlyMap<string, number> {
  const refused = new Map<string, number>()
  let others = 0
  for (const [code, count] of refusedByReason.entries()) {
    const name = ErrorNames.get(code)
    if (name === undefined) others += count
    else if (count > 0 || isReasonCode(PacketType.CONNACK, code, 5)) refused.set(name, count)
  }
  return refused.set('other', others)
}

/** Of the codes of errors: `not_authorized` for 0x87. */
const ErrorNames: ReadonlyMap<number, string> = new Map(
  Object.entries(ReasonCode)
    .filter(([, code]) => code >= ReasonCode.UNSPECIFIED_ERROR)
    .map(([name, code]) => [code, name.toLowerCase()]),
)
