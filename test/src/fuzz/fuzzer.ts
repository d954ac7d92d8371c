// Throws streams of packets at a broker, from a seed, and says what the broker did wrong: threw,
// kept a connection, answered what is no packet or without a reason, or stopped serving others.

import { type BrokerServer, createBroker } from '@godwit/broker'
import { type Packet, PacketType } from '@godwit/packet'
import { HostileClient } from './hostile.ts'
import { firstBytes, nextBytes } from './packets.ts'
import { Chance } from './random.ts'
import { firstFault } from './reference.ts'
import { Witness } from './witness.ts'

/** A broker serves so many cases before the next one takes over. */
const CASES_PER_BROKER = 100
const WITNESS_EVERY = 5
const CLIENTS_MAX = 3
const STEPS_MAX = 24
/** After so many turns nothing of a case may be under way. */
const TURNS_MAX = 400
const CONNECT_BYTES_MAX = 4096
const PACKET_BYTES_MAX = 8192
/** What the broker itself may have against a PUBLISH that the codec refuses as well. */
const OPEN_CODES: readonly number[] = [0x81, 0x82, 0x90, 0x93, 0x94, 0x95, 0x97]

export interface FuzzOptions {
  readonly seed: number
  /** Infinity goes on for ever. */
  readonly cases: number
  /** The first case; the same case of a seed is always the same bytes. */
  readonly from?: number
  readonly progress?: (done: number) => void
}

/** What a fuzzer has found, with what repeats it. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure'

  /** @param from the case to begin with when it is repeated. @param flags to repeat it with */
  constructor(seed: number, index: number, text: string, from: number, flags = '') {
    const cases = `--seed ${seed} --from ${from} --cases ${index - from + 1}`
    super(`case ${index} of seed ${seed}: ${text}\nagain: npm run fuzz -- ${flags}${cases}`)
  }
}

/** @throws FuzzFailure at the first case that goes wrong */
export async function fuzz(options: FuzzOptions): Promise<void> {
  const { seed, cases, from = 0 } = options
  for (let index = from; index < from + cases; ) {
    const end = Math.min(from + cases, index - (index % CASES_PER_BROKER) + CASES_PER_BROKER)
    await fuzzOneBroker(seed, index, end, options.progress)
    index = end
  }
}

async function fuzzOneBroker(
  seed: number,
  from: number,
  end: number,
  progress: FuzzOptions['progress'],
): Promise<void> {
  const keepsSessions = Math.floor(from / CASES_PER_BROKER) % 2 === 0
  const broker = openBroker(keepsSessions)
  let index = from
  let trouble: string | null = null
  broker.on('error', error => {
    trouble ??= `the broker reports ${error.message}`
  })
  const onThrow = (error: unknown): void => {
    trouble ??= `it threw ${error instanceof Error ? error.stack : String(error)}`
  }
  process.on('uncaughtException', onThrow)
  try {
    const witness = await Witness.join(broker)
    for (; index < end; index++) {
      const fault = await runCase(broker, new Chance(seed, index), keepsSessions)
      trouble ??= fault
      if (trouble === null && index % WITNESS_EVERY === 0) trouble = await witness.check()
      if (trouble !== null) {
        throw new FuzzFailure(seed, index, trouble, index - (index % CASES_PER_BROKER))
      }
      progress?.(index + 1)
    }
  } finally {
    process.off('uncaughtException', onThrow)
    await broker.close({ drainSeconds: 0 })
  }
}

/** Small limits, so that they are met. */
function openBroker(keepsSessions: boolean): BrokerServer {
  return createBroker({
    statsIntervalSeconds: 0,
    responseTopicPrefix: 'responses',
    limits: {
      connectPacketBytesMax: CONNECT_BYTES_MAX,
      packetBytesMax: PACKET_BYTES_MAX,
      receiveMaximum: 4,
      inflightMax: 8,
      queuedMessagesMax: 50,
      subscriptionsPerSessionMax: 20,
      retainedMessagesMax: 50,
      flappingConnectsMax: 0,
      sessionExpirySecondsMax: keepsSessions ? 3600 : 0,
      willDelaySecondsMax: keepsSessions ? 3600 : 0,
    },
  })
}

/** @returns what went wrong, or null */
async function runCase(
  broker: BrokerServer,
  chance: Chance,
  keepsSessions: boolean,
): Promise<string | null> {
  const before = broker.stats()
  const clients = Array.from({ length: 1 + chance.below(CLIENTS_MAX) }, () => {
    const level = chance.pick([3, 4, 5, 5] as const)
    return new HostileClient(broker.connect(), level)
  })
  for (const client of clients) client.send(firstBytes(chance, client.level))
  await turns(2)
  for (let steps = chance.below(STEPS_MAX); steps > 0; steps--) {
    await step(chance, chance.pick(clients))
  }
  for (const client of clients) client.resume()
  await turns(4)
  const frames = broker.stats().packetsReceived - before.packetsReceived
  let wrong: string | null = null
  for (const client of clients) {
    wrong ??= judge(client, clients.length === 1 ? frames : null)
  }
  for (const client of clients) client.leave(chance)
  for (let i = 0; i < TURNS_MAX && broker.stats().connections > before.connections; i++) {
    await turns(1)
  }
  const { connections, clientsConnected, sessions } = broker.stats()
  if (connections !== before.connections) wrong ??= `${connections} connections are left`
  if (clientsConnected !== before.clientsConnected) wrong ??= `${clientsConnected} are connected`
  if (!keepsSessions && sessions !== before.sessions) wrong ??= `${sessions} sessions are left`
  for (const client of clients) client.destroy()
  return wrong
}

async function step(chance: Chance, client: HostileClient): Promise<void> {
  switch (chance.below(12)) {
    case 0:
      client.pause()
      return
    case 1:
      client.resume()
      return
    case 2:
    case 3:
      await turns(1)
      client.acknowledge(chance)
      return
    default: {
      const bytes = nextBytes(chance, client.level)
      const cut = chance.oneIn(3) ? chance.below(bytes.length + 1) : 0
      client.send(bytes.subarray(0, cut))
      if (cut > 0 && chance.oneIn(2)) await turns(1)
      client.send(bytes.subarray(cut))
    }
  }
}

/** @param frames how many packets the broker has handled of this client alone, or null */
function judge(client: HostileClient, frames: number | null): string | null {
  if (client.badAnswer !== null) return `an answer is no packet: ${client.badAnswer.message}`
  const { received, answerLevel } = client
  for (const [index, packet] of received.entries()) {
    const isConnack = packet.type === PacketType.CONNACK
    if (isConnack !== (index === firstAnswer(received))) return 'CONNACK is not first, or not alone'
  }
  const fault = firstFault(client.sent, CONNECT_BYTES_MAX, PACKET_BYTES_MAX)
  if (fault === null && !client.endedByBroker) return null
  if (!client.endedByBroker) return `it goes on after a fault (0x${fault?.reasonCode.toString(16)})`
  if (!client.isIn || answerLevel < 5 || saidGoodbye(client)) return null
  const last = received[received.length - 1]
  if (last?.type !== PacketType.DISCONNECT) return 'it ended the connection without a reason'
  if (last.reasonCode < 0x80)
    return `it ended the connection with 0x${last.reasonCode.toString(16)}`
  if (fault === null || frames !== fault.frames) return null
  // A fault of the header comes after the frame before it, which may have had one of its own.
  const isOpen = fault.type === PacketType.PUBLISH || fault.type === 0
  const expected = isOpen ? OPEN_CODES : [fault.reasonCode]
  if (expected.includes(last.reasonCode)) return null
  const codes = expected.map(code => code.toString(16)).join(' or ')
  return `reason code ${last.reasonCode.toString(16)}, expected ${codes}`
}

/** AUTH may come before CONNACK; nothing else. */
function firstAnswer(received: readonly Packet[]): number {
  return received.findIndex(packet => packet.type !== PacketType.AUTH)
}

/** Whether DISCONNECT is among what it sent before any fault. */
function saidGoodbye(client: HostileClient): boolean {
  return client.sent.some(bytes => bytes.includes(0xe0))
}

/** Waits for so many passes of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}
