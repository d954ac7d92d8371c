// Why a connection could not be opened, in words: what was expected, what came, and what to try.
// The texts of Node and of OpenSSL say what failed within them; their errors are kept as causes.

/** How a URL is dialled. */
export type Scheme = 'mqtt' | 'mqtts' | 'ws' | 'wss'

/** Bytes of a foreign answer that are shown. */
const SHOWN_BYTES = 24
const TLS_ALERT = 0x15
const TLS_MAJOR = 3
const CLOCK = 'by the clock of this machine'

const Plain: Readonly<Record<Scheme, string>> = {
  mqtt: 'mqtt:',
  mqtts: 'mqtt:',
  ws: 'ws:',
  wss: 'ws:',
}
const Expected: Readonly<Record<Scheme, string>> = {
  mqtt: 'expected MQTT without TLS',
  mqtts: 'expected MQTT over TLS',
  ws: 'expected a WebSocket without TLS',
  wss: 'expected a WebSocket over TLS',
}

/** The certificate of the server, by the codes of Node. */
const Untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

const Trusts = 'does the server trust the certificate in tls: { cert }?'

/**
 * An error of Node about a connection, as one line.
 * @param certified whether the client has shown a certificate of its own
 */
export function explain(error: Error, scheme: Scheme, certified = false): Error {
  const cause = firstOf(error)
  const text = textOf(cause, scheme, certified)
  return text === null ? cause : new Error(text, { cause })
}

/** The server closed before it sent anything. @param certified as above */
export function nothingCame(scheme: Scheme, certified = false): Error {
  const others = scheme === 'mqtt' ? 'TLS (mqtts:) or for WebSockets (ws:)' : 'WebSockets (wss:)'
  // Many servers say nothing of a certificate that they do not take.
  const first = certified ? `${Trusts} Or ` : ''
  const rest = `is this a port for ${others}, or does it take no more clients?`
  return new Error(`${Expected[scheme]}, nothing came: ${first}${rest}`)
}

/** @returns what answered instead of an MQTT server, null when it may be one */
export function foreignAnswer(bytes: Uint8Array, scheme: Scheme): Error | null {
  if (bytes[0] === TLS_ALERT && bytes[1] === TLS_MAJOR) {
    return new Error(`${Expected[scheme]}, got TLS: use ${Plain[scheme].replace(':', 's:')}`)
  }
  const shown = shownText(bytes)
  if (shown.startsWith('HTTP/')) {
    const use = scheme === 'mqtt' ? 'ws:' : 'wss:'
    return new Error(`${Expected[scheme]}, got "${shown}": for MQTT over WebSocket use ${use}`)
  }
  if (/^(?:SSH-|220[ -]|\+OK)/.test(shown)) {
    return new Error(`${Expected[scheme]}, got "${shown}": another service has this port`)
  }
  return null
}

/** The server has no WebSocket there. */
export function noWebSocket(status: number, path: string, location: string | undefined): Error {
  const came = `the server answered ${status} and no WebSocket`
  if (location !== undefined) return new Error(`${came}, and points to ${location}`)
  if (status === 401 || status === 403) {
    return new Error(`${came}: it wants credentials of HTTP, see the option headers`)
  }
  return new Error(`${came}: is its path another one than ${path}? Often it is /mqtt`)
}

function textOf(error: Error, scheme: Scheme, certified: boolean): string | null {
  const { code, syscall, address, port, path, hostname } = factsOf(error)
  const where = address === '' ? path : port === '' ? address : `${address}:${port}`
  const expected = Expected[scheme]
  const plain = Plain[scheme]
  const first = certified ? `${Trusts} Or ` : ''
  if (code === 'ECONNREFUSED') return `nothing listens on ${where} (${code})`
  if (code === 'ENOENT' && syscall === 'connect') return `there is no socket ${where} (${code})`
  if (code === 'ENOTFOUND') return `there is no host ${hostname} (${code})`
  if (code === 'ECONNRESET' && /socket hang up/.test(error.message)) {
    const others = scheme === 'ws' ? 'MQTT (mqtt:) or for TLS (wss:)' : 'MQTT (mqtts:)'
    return `${expected}, the server closed without an answer: ${first}is this a port for ${others}?`
  }
  if (code === 'ECONNRESET' && /before secure TLS/.test(error.message)) {
    const rest = `${first}is this a port without TLS (${plain})?`
    return `${expected}, the server closed in the handshake: ${rest}`
  }
  if (code.startsWith('HPE_') && code !== 'HPE_HEADER_OVERFLOW') return foreignHttp(error, scheme)
  if (Untrusted.has(code)) {
    return `the server's certificate is not trusted, ${error.message}: give its CA as tls: { ca }`
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const text = oneLine(error.message).replace(/:$/, '')
    return `${text}: give the name that it is for as tls: { serverName }`
  }
  if (code === 'CERT_HAS_EXPIRED') return `the server's certificate has expired, ${CLOCK}`
  if (code === 'CERT_NOT_YET_VALID') return `the server's certificate is not valid yet, ${CLOCK}`
  return openSslText(error.message, scheme, certified)
}

/** @returns null when it is no text of OpenSSL */
function openSslText(message: string, scheme: Scheme, certified: boolean): string | null {
  const reason = /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(message)?.[1]
  if (reason === undefined) return message.includes('\n') ? oneLine(message) : null
  if (/wrong version number|packet length too long|record layer failure/.test(reason)) {
    const use = `is this a port without TLS (${Plain[scheme]})?`
    return `${Expected[scheme]}, got what is no TLS (${reason}): ${use}`
  }
  if (/alert .*certificate|handshake failure|unknown ca/.test(reason)) {
    const why = certified
      ? 'it does not take the certificate in tls: { cert }'
      : 'it may want tls: { cert, key }'
    return `the server refused the TLS handshake (${reason}): ${why}`
  }
  return `TLS failed: ${reason}`
}

function foreignHttp(error: Error, scheme: Scheme): string {
  const { rawPacket } = error as { rawPacket?: unknown }
  const bytes = rawPacket instanceof Uint8Array ? rawPacket : new Uint8Array(0)
  const isTls = bytes[0] === TLS_ALERT && bytes[1] === TLS_MAJOR
  if (isTls) return `${Expected[scheme]}, got TLS: use wss:`
  return `${Expected[scheme]}, got "${shownText(bytes)}", which is no HTTP`
}

/** Printable characters of the first line. */
function shownText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes.subarray(0, SHOWN_BYTES)) {
    if (byte === 0x0d || byte === 0x0a) break
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'
  }
  return text
}

/** A name with several addresses fails with all their errors. */
function firstOf(error: Error): Error {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  return first instanceof Error ? first : error
}

interface Facts {
  readonly code: string
  readonly syscall: string
  readonly address: string
  readonly port: string
  readonly path: string
  readonly hostname: string
}

function factsOf(error: Error): Facts {
  const given = error as Partial<Record<keyof Facts, unknown>>
  const text = (name: keyof Facts): string => String(given[name] ?? '')
  return {
    code: text('code'),
    syscall: text('syscall'),
    address: text('address'),
    port: text('port'),
    path: text('path'),
    hostname: text('hostname'),
  }
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, ' ')
}
