// Which brokers are compared, and what is left out of the scripts, or of what came, for whom: what
// the other side does against the standard, and what the standard lets a broker do in two ways.
//
// Aedes is no pair: it ends connections and loses the maximum QoS of subscriptions in nearly every
// script (docs/conformance-suite.md).

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrokerServer, createBroker } from '@godwit/broker'
import { PEERS, startMosquitto } from '../conformance/peers.ts'
import type { Address } from '../conformance/wire.ts'
import type { Comparison } from './compare.ts'
import type { Without } from './generator.ts'
import type { Side } from './player.ts'

const HOST = '127.0.0.1'

/** Both sides of a comparison, running. */
export interface RunningPair extends Comparison {
  stop(): Promise<void>
}

export interface Pair {
  readonly name: string
  readonly without: Without
  /** What this machine lacks; undefined: nothing. */
  readonly missing: string | undefined
  start(): Promise<RunningPair>
}

const MosquittoSettings = [
  // One copy for each subscription: its one copy has the options of any of them. [MQTT-3.3.4-2]
  'allow_duplicate_messages true',
  'max_inflight_messages 1000',
  'sys_interval 0',
]

/** What is wrong with Mosquitto 2.0.11, and where both are right. */
const WithoutForMosquitto: Without = {
  // The second SUBSCRIBE does not change No Local and Retain As Published. [MQTT-3.8.4-3]
  replacement: true,
  // It sends retained messages for them (MQTT 5.0 section 4.8.2).
  retainedToShared: true,
  // It sends a client's own retained messages. [MQTT-3.8.3-3]
  retainedNoLocal: true,
  // Nothing comes. [MQTT-4.7.2-1] is about filters that begin with a wildcard.
  sharedDollar: true,
  // No will where its connection is taken over, whatever its delay. [MQTT-3.1.2-8]
  takenOverWill: true,
  // What waits for a member may be kept, or dropped as QoS 0 is for sessions that are away.
  sharedQos0: true,
  // One copy of several fills the window: which one comes first is open. It also sends more than
  // Receive Maximum. [MQTT-3.3.4-9] And what waits may be the group's, which UNSUBSCRIBE ends.
  holdWithWindow: true,
  // The copy for a subscription at QoS 0 is dropped where the client is away, with its identifier.
  identifierAtQos0: true,
  // What is too large for a client stays in its window for ever. [MQTT-3.1.2-25]
  smallPacketWithWindow: true,
  // It keeps nothing over a restart without a setting, and then as of its last snapshot.
  restart: true,
}

const IgnoredOfMosquitto: readonly RegExp[] = [
  // Sent only where the first write takes it. [MQTT-3.1.4-3]
  /^DISCONNECT 142$/,
]

interface RunningSide extends Side {
  stop(): Promise<void>
}

/** Godwit without a store is the one side of each. */
export const PAIRS: readonly Pair[] = [
  {
    name: 'disk',
    without: {},
    missing: undefined,
    start: () => start(startOnDisk, []),
  },
  {
    name: 'mosquitto',
    without: WithoutForMosquitto,
    missing: PEERS.find(({ name }) => name === 'Mosquitto')?.missing,
    start: () => start(startPeer, IgnoredOfMosquitto),
  },
]

async function start(
  startOther: () => Promise<RunningSide>,
  ignored: readonly RegExp[],
): Promise<RunningPair> {
  const own = await startGodwit('Godwit', null)
  const other = await startOther()
  const stop = async (): Promise<void> => {
    await own.stop()
    await other.stop()
  }
  return { sides: [own, other], ignored, stop }
}

async function startPeer(): Promise<RunningSide> {
  const { address, stop } = await startMosquitto(MosquittoSettings)
  return { name: 'Mosquitto', address, restart: null, stop }
}

async function startOnDisk(): Promise<RunningSide> {
  const directory = mkdtempSync(join(tmpdir(), 'godwit-differential-'))
  const side = await startGodwit('Godwit on disk', directory)
  const stop = async (): Promise<void> => {
    await side.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  return {
    name: side.name,
    get address() {
      return side.address
    },
    restart: side.restart,
    stop,
  }
}

/** @param directory null: it keeps nothing */
async function startGodwit(name: string, directory: string | null): Promise<RunningSide> {
  const store = directory === null ? 'none' : { directory }
  const open = async (): Promise<{ broker: BrokerServer; address: Address }> => {
    const broker = createBroker({ statsIntervalSeconds: 0, store })
    const { port } = await broker.listen({ port: 0 })
    return { broker, address: { host: HOST, port } }
  }
  let running = await open()
  const stop = (): Promise<void> => running.broker.close({ drainSeconds: 0 })
  const restart = async (): Promise<void> => {
    await stop()
    running = await open()
  }
  return {
    name,
    get address() {
      return running.address
    },
    restart: directory === null ? null : restart,
    stop,
  }
}
