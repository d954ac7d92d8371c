// What the codec costs: PUBLISH and its answer, decoded and encoded, beside npm's mqtt-packet; and
// strings of several lengths, eight bytes at a time as utf8.ts reads them beside one at a time.

import {
  Decoder,
  decodeUtf8,
  encodePacket,
  encodeUtf8,
  NO_PROPERTIES,
  PACKET_BYTES_MAX,
  type Packet,
  PacketType,
  type ProtocolLevel,
  readPacket,
} from '@godwit/packet'
import mqttPacket from 'mqtt-packet'

const ROUNDS = 5
const CALLS = 200_000

const ack: Packet = {
  type: PacketType.PUBACK,
  packetId: 258,
  reasonCode: 0,
  properties: NO_PROPERTIES,
}
const publish: Packet = {
  type: PacketType.PUBLISH,
  topic: 'site/17/device/4711/temperature',
  payload: new Uint8Array(100),
  qos: 1,
  retain: false,
  dup: false,
  packetId: 258,
  properties: NO_PROPERTIES,
}
const publishWithProperties: Packet = {
  ...publish,
  properties: { contentType: 'text/plain', userProperties: [['trace', '0123456789abcdef']] },
}

const cases: readonly (readonly [name: string, packet: Packet, level: ProtocolLevel])[] = [
  ['PUBACK of MQTT 3.1.1', ack, 4],
  ['PUBLISH of MQTT 3.1.1', publish, 4],
  ['PUBLISH of MQTT 5.0', publish, 5],
  ['PUBLISH of MQTT 5.0 with properties', publishWithProperties, 5],
]

/** Prints nanoseconds per call. */
export function run(): void {
  for (const [name, packet, level] of cases) {
    const bytes = encodePacket(packet, level)
    const decoder = new Decoder(PACKET_BYTES_MAX)
    const decoded = measure(() => {
      decoder.push(bytes)
      decoder.next()
      const { first, bodyStart, end } = decoder
      return readPacket(first, bytes, bodyStart, end, level, 'client')
    })
    const encoded = measure(() => encodePacket(packet, level))
    const parser = mqttPacket.parser({ protocolVersion: level })
    const buffer = Buffer.from(bytes)
    let theirs: mqttPacket.Packet = { cmd: 'pingreq' }
    parser.on('packet', parsed => {
      theirs = parsed
    })
    const parsed = measure(() => parser.parse(buffer))
    const generated = measure(() => mqttPacket.generate(theirs, { protocolVersion: level }))
    console.log(
      `${name}: decode ${decoded} ns (mqtt-packet ${parsed}), encode ${encoded} ns (${generated})`,
    )
  }
  for (const length of [5, 12, 25, 60, 100]) {
    const bytes = encodeUtf8('temperature/of/a/device/'.repeat(5).slice(0, length))
    const eight = measure(() => decodeUtf8(bytes, 0, length))
    const one = measure(() => decodeOneByOne(bytes, length))
    console.log(`string of ${length} bytes: eight at a time ${eight} ns, one at a time ${one} ns`)
  }
}

function decodeOneByOne(bytes: Uint8Array, end: number): string {
  let text = ''
  for (let at = 0; at < end; at++) {
    const byte = bytes[at] ?? 0
    if (byte >= 0x80 || byte === 0) throw new Error('not ASCII')
    text += String.fromCharCode(byte)
  }
  return text
}

/** Nanoseconds per call, the best of several rounds. */
function measure(call: () => unknown): number {
  let best = Number.POSITIVE_INFINITY
  let kept: unknown
  for (let round = 0; round < ROUNDS; round++) {
    const begin = process.hrtime.bigint()
    for (let i = 0; i < CALLS; i++) kept = call()
    best = Math.min(best, Number(process.hrtime.bigint() - begin) / CALLS)
  }
  if (kept === null) throw new Error('unreachable: every call gives something')
  return Math.round(best)
}
