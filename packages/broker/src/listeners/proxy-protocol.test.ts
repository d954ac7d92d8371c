// The reader of PROXY headers: examples of the specification, and bytes that are none.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { field } from '../testing/bytes.ts'
import { ProxyHeaderError, ProxyHeaderReader, V2_BYTES_MAX } from './proxy-protocol.ts'

fc.configureGlobal({ seed: Number(process.env['GODWIT_SEED'] ?? 1) })

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const IPV4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb]

function v2(command: number, family: number, ...body: (number | readonly number[])[]): Uint8Array {
  const bytes = body.flat()
  return Uint8Array.from([
    ...SIGNATURE,
    0x20 | command,
    family,
    bytes.length >> 8,
    bytes.length & 255,
    ...bytes,
  ])
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, char => char.charCodeAt(0))
}

function read(bytes: Uint8Array) {
  return new ProxyHeaderReader().push(bytes)
}

const Good: [name: string, bytes: Uint8Array, address: string | null, port: number][] = [
  ['TCP4', ascii('PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n'), '192.0.2.1', 56_324],
  ['TCP6', ascii('PROXY TCP6 2001:db8::1 ::1 1 65535\r\n'), '2001:db8::1', 1],
  ['TCP6 of IPv4', ascii('PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n'), '::ffff:192.0.2.1', 1],
  ['UNKNOWN', ascii('PROXY UNKNOWN\r\n'), null, 0],
  ['UNKNOWN with more', ascii('PROXY UNKNOWN ffff:f::ffff x 65535 65535\r\n'), null, 0],
  ['v2 IPv4', v2(1, 0x11, IPV4), '192.0.2.1', 56_324],
  ['v2 IPv4 and parts', v2(1, 0x11, IPV4, 0x04, 0, 3, 1, 2, 3), '192.0.2.1', 56_324],
  ['v2 LOCAL', v2(0, 0x00), null, 0],
  ['v2 LOCAL with an address', v2(0, 0x11, IPV4), null, 0],
  ['v2 unspecified', v2(1, 0x00), null, 0],
  ['v2 datagrams', v2(1, 0x12, IPV4), null, 0],
  ['v2 Unix', v2(1, 0x31, Array(216).fill(0)), null, 0],
  [
    'v2 IPv6',
    v2(1, 0x21, [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 9], Array(16).fill(0), [0, 7, 0, 8]),
    '2001:db8::9',
    7,
  ],
]

for (const [name, bytes, address, port] of Good) {
  test(`a header is read, whatever pieces it comes in: ${name}`, () => {
    const mqtt = [0x10, 0x0c, 0x0d]
    const all = Uint8Array.from([...bytes, ...mqtt])
    for (let cut = 0; cut <= all.length; cut++) {
      const reader = new ProxyHeaderReader()
      let result = reader.push(all.subarray(0, cut))
      const early = result
      result ??= reader.push(all.subarray(cut))
      assert.ok(result !== null)
      const source = address === null ? null : { address, port }
      assert.deepEqual(result.header.source, source)
      const rest = early === null ? result.rest : Buffer.concat([result.rest, all.subarray(cut)])
      assert.deepEqual([...rest], mqtt)
    }
  })
}

const CommonName = [...field('device-7')]

function tls(client: number, verify: number, ...parts: number[]): number[] {
  const body = [client, 0, 0, 0, verify, ...parts]
  return [0x20, body.length >> 8, body.length & 255, ...body]
}

for (const [name, part, expected] of [
  ['a verified certificate', tls(0x07, 0, 0x22, ...CommonName), 'device-7'],
  ['one that was not verified', tls(0x07, 1, 0x22, ...CommonName), null],
  ['a connection without one', tls(0x01, 0, 0x22, ...CommonName), null],
  ['a certificate without a name', tls(0x07, 0, 0x21, 0, 1, 0x31), null],
] as const) {
  test(`the common name counts for ${name} only as it should`, () => {
    assert.equal(read(v2(1, 0x11, IPV4, part))?.header.commonName, expected)
  })
}

const Bad: [name: string, bytes: Uint8Array][] = [
  ['MQTT without a header', Uint8Array.of(0x10, 0x0c, 0, 4)],
  ['TLS without a header', Uint8Array.of(0x16, 3, 1)],
  ['HTTP', ascii('GET / HTTP/1.1\r\n')],
  ['almost PROXY', ascii('PROXI TCP4')],
  ['a signature that is off by one', Uint8Array.from([...SIGNATURE.slice(0, 11), 0x0b])],
  ['no end within 107 bytes', ascii(`PROXY UNKNOWN ${'x'.repeat(100)}`)],
  ['LF without CR', ascii('PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n')],
  ['an unknown family', ascii('PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n')],
  ['an address of the other family', ascii('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['an address with leading zeros', ascii('PROXY TCP4 192.00.2.1 198.51.100.2 1 2\r\n')],
  ['a part of 256', ascii('PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n')],
  ['nine groups', ascii('PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n')],
  ['two gaps', ascii('PROXY TCP6 1::2::3 ::1 1 2\r\n')],
  ['a port of 65536', ascii('PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n')],
  ['a port with a sign', ascii('PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n')],
  ['no ports', ascii('PROXY TCP4 192.0.2.1 198.51.100.2\r\n')],
  ['one word too many', ascii('PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n')],
  ['version 3', Uint8Array.from([...SIGNATURE, 0x31, 0x11, 0, 12, ...IPV4])],
  ['an unknown command', v2(2, 0x11, IPV4)],
  ['an unknown family of version 2', v2(1, 0x41, IPV4)],
  ['addresses that are cut', v2(1, 0x11, IPV4.slice(1))],
  ['a part that is cut', v2(1, 0x11, IPV4, 0x04, 0)],
  ['a part longer than the rest', v2(1, 0x11, IPV4, 0x04, 0, 9, 1)],
  ['a TLS part that is cut', v2(1, 0x11, IPV4, 0x20, 0, 1, 7)],
  ['an inner part that is cut', v2(1, 0x11, IPV4, tls(0x07, 0, 0x22, 0, 9, 1))],
  ['more than the limit', Uint8Array.from([...SIGNATURE, 0x21, 0x11, V2_BYTES_MAX >> 8, 0])],
]

for (const [name, bytes] of Bad) {
  test(`what is no header is refused: ${name}`, () => {
    assert.throws(() => read(bytes), ProxyHeaderError)
    // The same when it comes byte by byte.
    const reader = new ProxyHeaderReader()
    assert.throws(() => {
      for (const byte of bytes) reader.push(Uint8Array.of(byte))
    }, ProxyHeaderError)
  })
}

test('whatever bytes come, it says header, more or no, and keeps no more than its limit', () => {
  const start = fc.constantFrom<readonly number[]>([], [...ascii('PROXY ')], SIGNATURE)
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (first, more) => {
      const bytes = Uint8Array.from([...first, ...more])
      try {
        const result = read(bytes)
        if (result !== null) assert.ok(result.rest.length <= bytes.length)
      } catch (error) {
        assert.ok(error instanceof ProxyHeaderError)
      }
    }),
    { numRuns: 2000 },
  )
})

test('an IPv6 address is written as RFC 5952 has it', () => {
  const groups = fc.array(fc.constantFrom(0, 0, 0, 1, 0xdb8, 0xffff), {
    minLength: 8,
    maxLength: 8,
  })
  fc.assert(
    fc.property(groups, parts => {
      const address = parts.flatMap(part => [part >> 8, part & 255])
      const header = read(v2(1, 0x21, address, Array(16).fill(0), [0, 1, 0, 2]))?.header
      const expected = new URL(`http://[${parts.map(part => part.toString(16)).join(':')}]`)
        .hostname
      assert.equal(`[${header?.source?.address}]`, expected)
    }),
  )
})
