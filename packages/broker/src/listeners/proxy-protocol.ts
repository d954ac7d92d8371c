// The header of the PROXY protocol, versions 1 and 2, as a proxy sends it before the first byte of
// its client. A pure reader of bytes that may come in any pieces; it opens and closes nothing.

/** What the proxy says about the connection it passes on. */
export interface ProxyHeader {
  readonly version: 1 | 2
  /** Null: the proxy speaks for itself (LOCAL), or does not know (UNKNOWN): believe the socket. */
  readonly source: { readonly address: string; readonly port: number } | null
  /** Common name of a client certificate that the proxy has verified, else null. */
  readonly commonName: string | null
}

/** The longest header of version 1, with its CR LF. */
const V1_BYTES_MAX = 107
/** Room for the addresses and the certificate's name of version 2. */
export const V2_BYTES_MAX = 4096

const V1_START: Uint8Array = ascii('PROXY ')
const V2_START: Uint8Array = new Uint8Array([
  0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
])
const V2_FIXED_BYTES = 16
const CR = 0x0d
const LF = 0x0a
const COMMAND_LOCAL = 0
const COMMAND_PROXY = 1
const FAMILY_UNSPECIFIED = 0
const FAMILY_IPV4 = 1
const FAMILY_IPV6 = 2
const FAMILY_UNIX = 3
const PROTOCOL_STREAM = 1
const IPV4_BYTES = 12
const IPV6_BYTES = 36
const UNIX_BYTES = 216
const TLV_SSL = 0x20
const TLV_SSL_COMMON_NAME = 0x22
const SSL_FIXED_BYTES = 5
const CLIENT_CERTIFICATE_FLAGS = 0x06

/** Thrown for bytes that are no PROXY header. */
export class ProxyHeaderError extends Error {
  override readonly name = 'ProxyHeaderError'
}

/** Takes chunks until the header is whole. */
export class ProxyHeaderReader {
  private kept: Uint8Array = new Uint8Array(0)

  /**
   * @returns the header and what came after it, or null while more bytes are needed
   * @throws ProxyHeaderError
   */
  push(chunk: Uint8Array): { header: ProxyHeader; rest: Uint8Array } | null {
    const bytes = joined(this.kept, chunk)
    const length = headerLength(bytes)
    if (length === 0) {
      this.kept = bytes
      return null
    }
    const header = bytes[0] === V1_START[0] ? readV1(bytes, length) : readV2(bytes, length)
    return { header, rest: bytes.subarray(length) }
  }
}

/** @returns the number of bytes of the whole header, or 0 when more are needed */
function headerLength(bytes: Uint8Array): number {
  const first = bytes[0]
  if (first === undefined) return 0
  if (first === V1_START[0]) return v1Length(bytes)
  if (first === V2_START[0]) return v2Length(bytes)
  return refuse('the connection does not begin with a PROXY header')
}

function v1Length(bytes: Uint8Array): number {
  checkStart(bytes, V1_START)
  const end = Math.min(bytes.length, V1_BYTES_MAX)
  for (let i = V1_START.length; i < end; i++) {
    if (bytes[i] !== LF) continue
    if (bytes[i - 1] !== CR) refuse('a PROXY header of version 1 ends with LF, expected CR LF')
    return i + 1
  }
  if (bytes.length >= V1_BYTES_MAX) {
    refuse(`a PROXY header of version 1 has no end within ${V1_BYTES_MAX} bytes`)
  }
  return 0
}

function v2Length(bytes: Uint8Array): number {
  checkStart(bytes, V2_START)
  if (bytes.length < V2_FIXED_BYTES) return 0
  const length = V2_FIXED_BYTES + uint16(bytes, 14)
  if (length > V2_BYTES_MAX) {
    refuse(`a PROXY header of version 2 has ${length} bytes, the limit is ${V2_BYTES_MAX}`)
  }
  return bytes.length < length ? 0 : length
}

/** `PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n` */
function readV1(bytes: Uint8Array, length: number): ProxyHeader {
  let line = ''
  for (let i = 0; i < length - 2; i++) line += String.fromCharCode(bytes[i] as number)
  const [, family, address = '', target = '', port = '', targetPort = '', more] = line.split(' ')
  if (family === 'UNKNOWN') return { version: 1, source: null, commonName: null }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : null
  if (isAddress === null) refuse(`a PROXY header has the family ${JSON.stringify(family)}`)
  if (!isAddress(address) || !isAddress(target) || more !== undefined) {
    refuse('a PROXY header of version 1 has addresses that do not fit its family')
  }
  readPort(targetPort)
  return { version: 1, source: { address, port: readPort(port) }, commonName: null }
}

function readPort(text: string): number {
  const port = /^(?:0|[1-9]\d{0,4})$/.test(text) ? Number(text) : -1
  if (port < 0 || port > 65_535) refuse('a PROXY header of version 1 has a port that is no port')
  return port
}

function readV2(bytes: Uint8Array, length: number): ProxyHeader {
  const versionAndCommand = bytes[12] as number
  if (versionAndCommand >> 4 !== 2) refuse('a PROXY header has a version other than 1 and 2')
  const command = versionAndCommand & 15
  if (command === COMMAND_LOCAL) return { version: 2, source: null, commonName: null }
  if (command !== COMMAND_PROXY) refuse(`a PROXY header has the command ${command}`)
  const family = (bytes[13] as number) >> 4
  const protocol = (bytes[13] as number) & 15
  const addressBytes = addressLength(family)
  if (V2_FIXED_BYTES + addressBytes > length) refuse('a PROXY header ends within its addresses')
  const commonName = readCommonName(bytes, V2_FIXED_BYTES + addressBytes, length)
  if (protocol !== PROTOCOL_STREAM) return { version: 2, source: null, commonName }
  return { version: 2, source: readSource(bytes, family), commonName }
}

function addressLength(family: number): number {
  switch (family) {
    case FAMILY_UNSPECIFIED:
      return 0
    case FAMILY_IPV4:
      return IPV4_BYTES
    case FAMILY_IPV6:
      return IPV6_BYTES
    case FAMILY_UNIX:
      return UNIX_BYTES
    default:
      return refuse(`a PROXY header has the family ${family}`)
  }
}

function readSource(bytes: Uint8Array, family: number): ProxyHeader['source'] {
  const at = V2_FIXED_BYTES
  if (family === FAMILY_IPV4) {
    const address = bytes.subarray(at, at + 4).join('.')
    return { address, port: uint16(bytes, at + 8) }
  }
  if (family === FAMILY_IPV6) {
    const address = ipv6Text(bytes, at)
    return { address, port: uint16(bytes, at + 32) }
  }
  return null
}

/** The name of a certificate counts only when the proxy says that it has verified one. */
function readCommonName(bytes: Uint8Array, from: number, end: number): string | null {
  let commonName: string | null = null
  for (let at = from; at < end; ) {
    const { type, start, stop } = readTlv(bytes, at, end)
    at = stop
    if (type !== TLV_SSL) continue
    if (stop - start < SSL_FIXED_BYTES) refuse('a PROXY header ends within its TLS part')
    const client = bytes[start] as number
    const verify = bytes.subarray(start + 1, start + SSL_FIXED_BYTES)
    const verified = (client & CLIENT_CERTIFICATE_FLAGS) !== 0 && verify.every(byte => byte === 0)
    for (let inner = start + SSL_FIXED_BYTES; inner < stop; ) {
      const part = readTlv(bytes, inner, stop)
      inner = part.stop
      if (part.type !== TLV_SSL_COMMON_NAME || !verified) continue
      commonName = new TextDecoder().decode(bytes.subarray(part.start, part.stop))
    }
  }
  return commonName
}

function readTlv(
  bytes: Uint8Array,
  at: number,
  end: number,
): { type: number; start: number; stop: number } {
  if (at + 3 > end) refuse('a PROXY header ends within a type-length-value')
  const start = at + 3
  const stop = start + uint16(bytes, at + 1)
  if (stop > end) refuse('a PROXY header ends within a type-length-value')
  return { type: bytes[at] as number, start, stop }
}

function isIPv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && +part < 256)
}

function isIPv6(text: string): boolean {
  if (!/^[0-9a-fA-F:.]+$/.test(text)) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  let groups = 0
  for (const half of halves) {
    const parts = half === '' ? [] : half.split(':')
    for (const [index, part] of parts.entries()) {
      const last = index === parts.length - 1
      if (part.includes('.')) {
        if (!last || half !== halves[halves.length - 1] || !isIPv4(part)) return false
        groups += 2
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups++
      else return false
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8
}

/** RFC 5952: the longest run of zero groups becomes `::`. */
function ipv6Text(bytes: Uint8Array, at: number): string {
  const groups: number[] = []
  for (let i = 0; i < 8; i++) groups.push(uint16(bytes, at + 2 * i))
  let bestStart = -1
  let bestLength = 1
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > bestLength) {
      bestStart = start
      bestLength = length
    }
  }
  const text = (part: number[]): string => part.map(group => group.toString(16)).join(':')
  if (bestStart < 0) return text(groups)
  return `${text(groups.slice(0, bestStart))}::${text(groups.slice(bestStart + bestLength))}`
}

function checkStart(bytes: Uint8Array, expected: Uint8Array): void {
  const length = Math.min(bytes.length, expected.length)
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== expected[i]) refuse('the connection does not begin with a PROXY header')
  }
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second
  const all = new Uint8Array(first.length + second.length)
  all.set(first)
  all.set(second, first.length)
  return all
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, char => char.charCodeAt(0))
}

function refuse(text: string): never {
  throw new ProxyHeaderError(text)
}
