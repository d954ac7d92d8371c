// The numbers that `godwit check` reads from CONNACK or measures.

import type { TLSSocket } from 'node:tls'
import { type Client, MqttError } from '@godwit/client'
import { PACKET_BYTES_MAX } from '@godwit/packet'
import { type Limit, ProbeFailure, type Probing } from './probe.ts'

const SIZES = [16, 256, 1024, 4096] as const
const KIBIBYTE = 1024
const ROUND_TRIPS = 20
const VERSION_WAIT_MS = 1000
const NO_VERSION = 'it does not say ($SYS/broker/version)'
const SESSION_NEVER_EXPIRES = 0xffff_ffff

/** What the broker says of itself in CONNACK. */
export async function declaredLimits(probing: Probing, client: Client): Promise<Limit[]> {
  if (probing.level < 5) return []
  const { negotiated } = client
  const asked = await probing.connect({
    keepAliveSeconds: 65_535,
    sessionExpirySeconds: SESSION_NEVER_EXPIRES,
    clientId: `${probing.root}/limits`.replaceAll('/', '-'),
  })
  const { keepAliveSeconds, sessionExpirySeconds } = asked.negotiated
  await asked.close({ sessionExpirySeconds: 0 })
  const { packetBytesMax } = negotiated
  const never = sessionExpirySeconds === SESSION_NEVER_EXPIRES
  return [
    limit('receiveMaximum', 'QoS 1 and 2 messages at once', negotiated.receiveMaximum),
    packetBytesMax >= PACKET_BYTES_MAX
      ? limit('maximumPacketSize', 'largest packet', null, "no limit but the standard's")
      : limit('maximumPacketSize', 'largest packet', packetBytesMax, 'bytes'),
    limit('topicAliasMaximum', 'topic aliases', negotiated.topicAliasMaximum),
    limit('keepAlive', 'longest keep alive', keepAliveSeconds, 'seconds'),
    never
      ? limit('sessionExpiry', 'longest session', null, 'for ever')
      : limit('sessionExpiry', 'longest session', sessionExpirySeconds, 'seconds'),
    limit('responseInformation', 'responses go below', negotiated.responseInformation || null),
  ]
}

/** What was tried and timed. */
export async function measuredLimits(probing: Probing, client: Client): Promise<Limit[]> {
  return [
    await largestMessage(probing, client),
    await roundTrip(probing, client),
    await brokerVersion(probing, client),
    ...encryption(probing, client),
  ]
}

function limit(id: string, name: string, value: Limit['value'], detail = ''): Limit {
  return { id, name, value, detail }
}

/** The largest of some sizes that comes back. A broker may close the connection over one. */
async function largestMessage(probing: Probing, client: Client): Promise<Limit> {
  const { packetBytesMax } = client.negotiated
  let largest = 0
  let why = ''
  for (const kibibytes of SIZES) {
    const bytes = kibibytes * KIBIBYTE
    if (bytes + KIBIBYTE > packetBytesMax) break
    const own = await probing.connect({ packetBytesMax: PACKET_BYTES_MAX })
    try {
      const topic = probing.topic('size')
      const subscription = own.subscribe(topic, { qos: 1 })
      await subscription.ready
      await own.publish(topic, new Uint8Array(bytes), { qos: 1, timeoutMs: probing.timeoutMs })
      await probing.next(subscription)
      largest = kibibytes
    } catch (error) {
      why = ` (${kibibytes} KiB: ${(error as Error).message})`
      break
    } finally {
      await own.close()
    }
  }
  return limit('triedPayload', 'largest payload tried', largest, `KiB${why}`)
}

/** From publishing at QoS 1 to having the message back, the middle of several. */
async function roundTrip(probing: Probing, client: Client): Promise<Limit> {
  const name = 'round trip'
  const text = `ms, publish to receive, median of ${ROUND_TRIPS}`
  return attemptLimit('roundTrip', name, async () => {
    const topic = probing.topic('time')
    const subscription = client.subscribe(topic, { qos: 0 })
    await subscription.ready
    const times: number[] = []
    for (let i = 0; i < ROUND_TRIPS; i++) {
      const started = performance.now()
      await probing.publish(client, topic, String(i))
      await probing.next(subscription)
      times.push(performance.now() - started)
    }
    await subscription.unsubscribe()
    times.sort((a, b) => a - b)
    const middle = times[times.length >> 1] ?? 0
    return limit('roundTrip', name, Math.round(middle * 1000) / 1000, text)
  })
}

/** What keeps it from being measured is told in its place. */
async function attemptLimit(
  id: string,
  name: string,
  measure: () => Promise<Limit>,
): Promise<Limit> {
  try {
    return await measure()
  } catch (error) {
    if (!(error instanceof MqttError || error instanceof ProbeFailure)) throw error
    return limit(id, name, null, error.message)
  }
}

async function brokerVersion(probing: Probing, client: Client): Promise<Limit> {
  const name = 'the broker calls itself'
  const subscription = client.subscribe('$SYS/broker/version', { qos: 0 })
  const timer = new Promise<null>(resolve => {
    setTimeout(resolve, Math.min(VERSION_WAIT_MS, probing.timeoutMs), null).unref()
  })
  return attemptLimit('version', name, async () => {
    await subscription.ready
    const result = await Promise.race([subscription.next(), timer])
    await subscription.unsubscribe()
    const text = result === null || result.done === true ? null : result.value.text()
    return limit('version', name, text, text === null ? NO_VERSION : '')
  })
}

function encryption(probing: Probing, client: Client): Limit[] {
  const socket = probing.socketOf(client)
  if (socket === null || !('getProtocol' in socket)) return []
  const encrypted = socket as TLSSocket
  const { valid_to: until } = encrypted.getPeerCertificate()
  return [
    limit('tls', 'TLS', encrypted.getProtocol(), encrypted.getCipher().name),
    limit('certificateUntil', 'its certificate is valid until', until ?? null),
  ]
}
