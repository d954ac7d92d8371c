// Why there is no connection, in one line: what was expected, what came, and what to try. Node and
// OpenSSL say it in theirs, with addresses of memory and the lines of their sources.

import type { PeerCertificate } from 'node:tls'
import type { ClientChoice } from '../options/choice.ts'

/** What was tried. */
export interface Attempt {
  /** The address, as people write it. */
  readonly where: string
  readonly host: string
  readonly secure: boolean
}

type Choice = Pick<
  ClientChoice,
  'webSocket' | 'webSocketPath' | 'cafile' | 'capath' | 'tlsVersion' | 'level'
>

/** What to try where the other end does not do TLS. */
const WITHOUT_TLS = 'try without TLS (no --tls, --cafile or mqtts://), or the port that has it'

/** OpenSSL's codes for a certificate that nobody we trust has signed. */
const UNTRUSTED: readonly string[] = [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]

/** What libmosquitto calls them; 1 is everything else. */
const Code = { OTHER: 1, LOST: 7, TLS: 8 } as const

/** The exit code that Mosquitto's clients have for it. @param error as below */
export function unreachableCode(error: Error | null, { secure }: Attempt): number {
  const { code = '', message = '' } = (error ?? {}) as NodeJS.ErrnoException
  const isCut = message.includes('disconnected before secure TLS connection')
  // TLS 1.3 tells it when the client thinks that the handshake is done.
  if (message.includes('alert certificate required')) return Code.LOST
  if (error === null || (code === 'ECONNRESET' && !isCut)) return Code.LOST
  if (!secure) return Code.OTHER
  const isTls = code.startsWith('ERR_SSL') || message.includes('SSL routines')
  const isUnnamed = code === 'ERR_TLS_CERT_ALTNAME_INVALID'
  return isTls || isCut || isUnnamed || isCertificate(code) ? Code.TLS : Code.OTHER
}

function isCertificate(code: string): boolean {
  return UNTRUSTED.includes(code) || code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID'
}

/** @param error of the network, of TLS or of the HTTP before a WebSocket; null: it just closed */
export function unreachableText(error: Error | null, attempt: Attempt, choice: Choice): string {
  const { where, host, secure } = attempt
  const { code = '' } = (error ?? {}) as NodeJS.ErrnoException
  const message = oneLine(error?.message || code)
  if (code === 'ECONNREFUSED') return `Error: Connection refused: nothing listens at ${where}`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `Unable to connect (Lookup error.): there is no host ${host}`
  }
  if (code === 'EADDRNOTAVAIL') {
    const { address = 'the address' } = error as { address?: string }
    return `Error: ${address} is no address of this machine, or its ports are all in use`
  }
  if (code === 'ENOENT') return `Error: there is no Unix socket at ${where}`
  const text =
    (secure ? ofTls(error, message, attempt, choice) : null) ??
    (choice.webSocket ? ofWebSocket(code, message, attempt, choice) : null) ??
    (error === null || code === 'ECONNRESET' ? ofSilence(attempt, choice) : `${message} (${where})`)
  return `Error: ${text}`
}

function ofTls(
  error: NodeJS.ErrnoException | null,
  message: string,
  { where, host }: Attempt,
  choice: Choice,
): string | null {
  const code = error?.code ?? ''
  if (message.includes('wrong version number') || message.includes('packet length too long')) {
    return `expected TLS from ${where}, which answered something else: ${WITHOUT_TLS}`
  }
  if (message.includes('disconnected before secure TLS connection')) {
    return `expected a TLS handshake from ${where}, which closed the connection: ${WITHOUT_TLS}`
  }
  if (UNTRUSTED.includes(code)) {
    const { cafile, capath } = choice
    const known = cafile ?? capath ?? 'the certificates that Node trusts'
    const advice = 'give the certificate of who has with --cafile'
    return `nobody in ${known} has signed the certificate of ${where} (${message}): ${advice}`
  }
  if (isCertificate(code)) {
    const now = code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'
    return `the certificate of ${where} ${now}: it must be renewed there, or a clock is wrong`
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const others = namesOf(error) || 'another name'
    const advice = 'give -h one of its names, or --insecure, which takes any'
    return `the certificate of ${where} is for ${others}, not for ${host}: ${advice}`
  }
  return ofAlert(message, where, choice)
}

/** Whom a certificate is for; Node's message has no names where an address was looked for. */
function namesOf(error: (Error & { cert?: unknown }) | null): string {
  const { subject, subjectaltname } = (error?.cert ?? {}) as Partial<PeerCertificate>
  const common: unknown = subject?.CN
  return subjectaltname ?? (typeof common === 'string' ? common : '')
}

/** What a server says before it gives up on a handshake. RFC 8446 section 6.2. */
function ofAlert(message: string, where: string, choice: Choice): string | null {
  if (/alert (?:certificate required|bad certificate|no certificate)/.test(message)) {
    return `${where} wants a certificate of this client that it trusts: see --cert`
  }
  if (
    /alert (?:unknown ca|certificate (?:unknown|expired|revoked)|unsupported cert)/.test(message)
  ) {
    const why = reasonOf(message)
    return `${where} does not take the certificate of this client (${why}): see --cert`
  }
  if (/alert protocol version|unsupported protocol|no protocols available/.test(message)) {
    const asked = choice.tlsVersion ?? 'any version of TLS that Node does'
    return `${where} does not do ${asked}: try another --tls-version`
  }
  if (/alert handshake failure|no shared cipher|alert insufficient security/.test(message)) {
    const advice = 'see --ciphers, --psk, --tls-version, --cert'
    return `${where} found nothing in common in the TLS handshake (${reasonOf(message)}): ${advice}`
  }
  if (/unknown psk identity|alert decrypt error|bad record mac/.test(message)) {
    return `${where} does not know this key (${reasonOf(message)}): see --psk and --psk-identity`
  }
  const reason = reasonOf(message)
  return reason === message ? null : `the TLS handshake with ${where} failed: ${reason}`
}

function ofWebSocket(
  code: string,
  message: string,
  { where, secure }: Attempt,
  { webSocketPath }: Choice,
): string | null {
  const status = /the server answered (\d+) and no WebSocket/.exec(message)?.[1]
  if (status !== undefined) {
    const advice = status === '404' ? ': --ws-path gives another path' : ''
    return `expected a WebSocket at ${where}${webSocketPath}, got HTTP status ${status}${advice}`
  }
  const isClosed = message === 'socket hang up' || code === 'ECONNRESET' || message === ''
  if (!isClosed && !code.startsWith('HPE_')) return null
  const came = isClosed ? 'which closed the connection' : 'which answered something else'
  const tls = secure ? '' : ', or with wss:// if it has TLS'
  return `expected a WebSocket at ${where}, ${came}: try without --ws and ws://${tls}`
}

/** Nothing came at all, as from a port that waits for something else than MQTT. */
function ofSilence({ where, secure }: Attempt, { webSocket, level }: Choice): string {
  const others = [
    ...(secure ? [] : ['--tls or --cafile if it has TLS']),
    ...(webSocket ? [] : ['--ws if it has WebSockets']),
    // Some that are older say nothing to a version that they do not know.
    ...(level < 5 ? [] : ['-V 311 if it has no MQTT 5.0']),
  ]
  const advice = others.length === 0 ? '' : `: try ${others.join(', ')}`
  return `expected CONNACK from ${where}, which closed the connection without a word${advice}`
}

/** What OpenSSL means: the last words that are no place in its sources. */
function reasonOf(message: string): string {
  const [, reason] = /error:[0-9A-F]{8}:[^:]*:[^:]*:([^:]+)/i.exec(message) ?? []
  return reason?.trim() ?? message
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
