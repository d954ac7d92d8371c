// The language of -F: a format becomes a list of pieces once, and each message runs through them.
// What is written is a string whose characters are bytes, so that payloads stay what they are and
// widths count bytes, as C does.

import type { PublishPacket } from '@godwit/packet'
import { usage } from '../failure.ts'
import { WRONG } from '../options/option.ts'
import { messageJson, messagePayloadJson } from './message-json.ts'
import { type Moment, momentNow } from './moment.ts'
import { strftime } from './strftime.ts'

/** Bytes, each as one character. */
export type ByteString = string

export interface FormatSettings {
  readonly pretty: boolean
  /** Told what is wrong with a message. */
  readonly warn: (text: string) => void
  readonly now?: () => Moment
}

/** Puts one message into words. */
export type Formatter = (message: PublishPacket) => ByteString

/** Flags, width and precision of one conversion. */
interface Field {
  readonly letter: string
  readonly left: boolean
  readonly zero: boolean
  readonly width: number
  /** -1: none. */
  readonly precision: number
  readonly separator: string
}

interface Context {
  readonly message: PublishPacket
  /** Asked once per message, so that its parts agree. */
  readonly moment: () => Moment
  readonly settings: FormatSettings
}

type Piece = (context: Context) => ByteString

const CONVERSIONS = '%ACDEFIJPRSUXdfjlmpqrtx'
const SEPARATORS = '!"#$&\'()*+,-./:;<=>?@[\\]^_`{|}~ '
const CONVERSION = /^%(-?)(0?)(\d*)(?:(\.)(\d*))?/

const Escapes: Readonly<Record<string, string>> = {
  '\\': '\\',
  '0': '\0',
  a: '\x07',
  e: '\x1b',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/** @throws CommandFailure for a format that means nothing */
export function checkFormat(format: string): void {
  compile(format)
}

export function formatter(format: string, settings: FormatSettings): Formatter {
  const pieces = compile(format)
  const now = settings.now ?? momentNow
  return message => {
    let moment: Moment | null = null
    const context: Context = {
      message,
      settings,
      moment: () => {
        moment ??= now()
        return moment
      },
    }
    let text = ''
    for (const piece of pieces) text += piece(context)
    return text
  }
}

export function bytesOf(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1')
}

export function byteString(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function compile(format: string): Piece[] {
  const pieces: Piece[] = []
  let literal = ''
  const flush = (): void => {
    if (literal === '') return
    const text = bytesOf(literal)
    pieces.push(() => text)
    literal = ''
  }
  for (let at = 0; at < format.length; ) {
    const character = format.charAt(at)
    const next = format.charAt(at + 1)
    if (character === '%') {
      const { field, length } = readField(format, at)
      flush()
      pieces.push(context => convert(field, context))
      at += length
    } else if (character === '@') {
      if (next === '') incomplete('format')
      if (next === '@') literal += '@'
      else {
        flush()
        pieces.push(time(next))
      }
      at += 2
    } else if (character === '\\') {
      if (next === '') incomplete('escape')
      const escaped = Escapes[next]
      if (escaped === undefined) usage(`Invalid escape specifier '${next}'.`, WRONG)
      literal += escaped
      at += 2
    } else {
      literal += character
      at++
    }
  }
  flush()
  return pieces
}

function readField(format: string, start: number): { field: Field; length: number } {
  const [all = '', minus, zero, width, dot, precision] = CONVERSION.exec(format.slice(start)) ?? []
  let at = start + all.length
  let separator = ' '
  // 2.1: a character that stands between the digits of %x, e.g. %.2:x
  if (format.charAt(at) !== '' && SEPARATORS.includes(format.charAt(at))) {
    separator = format.charAt(at)
    at++
  }
  const letter = format.charAt(at)
  if (letter === '') incomplete('format')
  if (!CONVERSIONS.includes(letter)) usage(`Invalid format specifier '${letter}'.`, WRONG)
  const field = {
    letter,
    left: minus === '-',
    zero: zero === '0',
    width: Number(width ?? 0),
    precision: dot === undefined ? -1 : Number(precision ?? 0),
    separator,
  }
  return { field, length: at + 1 - start }
}

function incomplete(what: string): never {
  return usage(`Incomplete ${what} specifier.`, WRONG)
}

function time(letter: string): Piece {
  if (letter === 'N') return ({ moment }) => String(moment().nanoseconds).padStart(9, '0')
  return ({ moment }) => bytesOf(strftime(letter, moment().date))
}

function convert(field: Field, context: Context): ByteString {
  const { message, moment, settings } = context
  const { properties, payload } = message
  switch (field.letter) {
    case '%':
      return '%'
    case 'A':
      return integerOrBlank(properties.topicAlias, field)
    case 'C':
      return properties.contentType === undefined
        ? ' '.repeat(field.width)
        : padded(bytesOf(properties.contentType), field)
    case 'D':
      return properties.correlationData === undefined ? '' : byteString(properties.correlationData)
    case 'E':
      return integerOrBlank(properties.messageExpiryInterval, field)
    case 'F':
      return integerOrBlank(properties.payloadFormatIndicator, field)
    case 'I':
      return padded(isoTime(moment().date), field)
    case 'j':
      return messageJson(message, moment(), settings.pretty)
    case 'J':
      return payloadAsJson(context)
    case 'l':
      return integer(payload.length, field)
    case 'm':
      return integer(message.packetId, field)
    case 'P':
      return bytesOf((properties.userProperties ?? []).map(pair => pair.join(':')).join(' '))
    case 'p':
      return rawPayload(payload, field)
    case 'q':
      return String(message.qos)
    case 'R':
      return properties.responseTopic === undefined
        ? ''
        : padded(bytesOf(properties.responseTopic), field)
    case 'r':
      return message.retain ? '1' : '0'
    case 'S':
      return integerOrBlank(properties.subscriptionIdentifiers?.[0], field)
    case 't':
      return padded(bytesOf(message.topic), field)
    case 'U':
      return unixTime(moment())
    case 'x':
      return hexPayload(payload, field)
    case 'X':
      return hexPayload(payload, field).toUpperCase()
    default:
      return floatPayload(field, context)
  }
}

function payloadAsJson({ message, moment, settings }: Context): ByteString {
  const json = messagePayloadJson(message, moment(), settings.pretty)
  if (json !== null) return json
  settings.warn(`Error: Message payload is not valid JSON on topic ${message.topic}.`)
  return ''
}

function isoTime(date: Date): string {
  return `${strftime('F', date)}T${strftime('T', date)}${strftime('z', date)}`
}

function unixTime({ date, nanoseconds }: Moment): string {
  return `${Math.floor(date.getTime() / 1000)}.${String(nanoseconds).padStart(9, '0')}`
}

/** C's `%d` with flags; numbers of 32 bits are printed with a sign, as Mosquitto does. */
function integer(value: number, { left, zero, width }: Field): string {
  const text = String(value | 0)
  if (left) return text.padEnd(width)
  if (!zero) return text.padStart(width)
  return text.startsWith('-')
    ? `-${text.slice(1).padStart(width - 1, '0')}`
    : text.padStart(width, '0')
}

function integerOrBlank(value: number | undefined, field: Field): string {
  if (value !== undefined) return integer(value, field)
  return (field.zero ? '0' : ' ').repeat(field.width)
}

/** C's `%s` with flags: zeros do not pad text. */
function padded(text: ByteString, { left, width, precision }: Field): ByteString {
  const cut = precision < 0 ? text : text.slice(0, precision)
  return left ? cut.padEnd(width) : cut.padStart(width)
}

/** The width is also the most that is printed. */
function rawPayload(payload: Uint8Array, { left, zero, width }: Field): ByteString {
  const text = byteString(width > 0 ? payload.subarray(0, width) : payload)
  // Without a width Mosquitto pads by what is missing from 0.
  if (left) return text + ' '.repeat(Math.abs(width - text.length))
  return text.padStart(width, zero ? '0' : ' ')
}

function hexPayload(
  payload: Uint8Array,
  { left, zero, width, precision, separator }: Field,
): string {
  const bytes = width > 0 ? payload.subarray(0, width) : payload
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
  const missing = width - hex.length
  const front = left || missing <= 0 ? '' : (zero ? '0' : ' ').repeat(missing)
  const back = left ? ' '.repeat(Math.abs(missing)) : ''
  const digits = front + hex
  if (precision <= 0) return digits + back
  const groups = digits.match(new RegExp(`.{1,${precision}}`, 'gs')) ?? []
  return groups.join(separator) + back
}

/** %f is a float of 4 bytes, %d a double of 8, as this machine keeps them. */
function floatPayload(field: Field, { message, settings }: Context): string {
  const { payload } = message
  const isFloat = field.letter === 'f'
  if (payload.length !== (isFloat ? 4 : 8)) {
    const kind = isFloat ? 'float' : 'double'
    settings.warn(`requested ${kind} printing, but non-${kind} data received`)
    return ''
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  const value = isFloat ? view.getFloat32(0, true) : view.getFloat64(0, true)
  const digits = field.precision < 0 ? 6 : Math.min(field.precision, 100)
  const text = Number.isFinite(value) ? fixed(value, digits) : (C_NAMES[String(value)] ?? '')
  if (field.left) return text.padEnd(field.width)
  if (!field.zero || !Number.isFinite(value)) return text.padStart(field.width)
  const sign = text.startsWith('-') ? '-' : ''
  return sign + text.slice(sign.length).padStart(field.width - sign.length, '0')
}

const C_NAMES: Readonly<Record<string, string>> = {
  Infinity: 'inf',
  '-Infinity': '-inf',
  NaN: 'nan',
}

/** toFixed goes over to powers of ten at 1e21, C never does. */
function fixed(value: number, digits: number): string {
  if (Math.abs(value) < 1e21)
    return Object.is(value, -0) ? `-${value.toFixed(digits)}` : value.toFixed(digits)
  return digits === 0 ? String(BigInt(value)) : `${BigInt(value)}.${'0'.repeat(digits)}`
}
