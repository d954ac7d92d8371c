// hot
// Whether a payload is, behind its header, what was sent, and where it was sent. To look at every
// byte of every message would make a fast tester slower, so some are looked at: the first of each
// read, which are those that came in two pieces, and of the others one in so many. Lengths are
// compared always.

import { HEADER_BYTES, SEQUENCE_BYTES } from './message.ts'
import { payloadPattern, payloadPieces, variablesIn } from './templates.ts'

/** What a payload holds behind its header. */
export type PayloadPlan =
  | { readonly kind: 'size'; readonly bytesMin: number; readonly bytesMax: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'template'; readonly text: string }

const FIRST_OF_READ = 4
/** Of those behind the first; odd, so that it falls into step with no buffer of a broker. */
const ONE_IN = 33
const LETTERS = 26
/** Of a variable in a payload: a number. */
export const VARIABLE_BYTES_MAX = 24
const NO_SEQUENCE = -1

export class PayloadCheck {
  /** Payloads that were compared byte for byte. */
  compared = 0
  /** Whether the last one was. */
  wasCompared = false
  private firstLeft = 0
  private skipped = 0
  /** Payloads have no header. */
  readonly plain: boolean
  private readonly bytesMin: number
  private readonly bytesMax: number
  private readonly isFiller: boolean
  /** What must have come; null where a pattern says it. */
  private readonly expected: Buffer | null
  private readonly pattern: RegExp | null
  /** Of a template, between its {seq}. */
  private readonly pieces: readonly string[]
  /** By stream: where its messages are published. */
  private readonly topics: readonly string[]

  constructor(payload: PayloadPlan, plain: boolean, topics: readonly string[] = []) {
    this.plain = plain
    this.topics = topics
    const headerBytes = plain ? 0 : HEADER_BYTES
    this.isFiller = payload.kind === 'size'
    this.expected = expectedOf(payload)
    this.pieces = payload.kind === 'template' ? payloadPieces(payload.text) : []
    this.pattern = payload.kind === 'template' ? payloadPattern(this.pieces, null) : null
    if (payload.kind === 'size') {
      this.bytesMin = payload.bytesMin
      this.bytesMax = payload.bytesMax
    } else if (payload.kind === 'bytes') {
      this.bytesMin = headerBytes + payload.bytes.length
      this.bytesMax = this.bytesMin
    } else {
      const { literalBytes, variables } = variablesIn(payload.text)
      this.bytesMin = headerBytes + literalBytes + variables
      this.bytesMax = headerBytes + literalBytes + variables * VARIABLE_BYTES_MAX
    }
  }

  beginRead(): void {
    this.firstLeft = FIRST_OF_READ
  }

  /** Looks at one payload, or lets it pass unseen. @param sequence as its header says, or -1 */
  isDamaged(bytes: Uint8Array, at: number, size: number, sequence: number = NO_SEQUENCE): boolean {
    this.wasCompared = this.isNext() || size < this.bytesMin || size > this.bytesMax
    if (!this.wasCompared) return false
    this.compared++
    if (size < this.bytesMin || size > this.bytesMax) return true
    const from = at + this.headerBytesOf(size)
    const { expected } = this
    if (expected === null) return !this.fits(bytes, from, at + size, sequence)
    const fillerFrom = this.isFiller ? from - at + (size % LETTERS) : 0
    return expected.compare(bytes, from, at + size, fillerFrom, fillerFrom + at + size - from) !== 0
  }

  /** Whether a message that was compared is not on the topic of its stream. */
  isAstray(bytes: Uint8Array, topicStart: number, topicEnd: number, stream: number): boolean {
    const topic = this.topics[stream]
    if (topic === undefined || !this.wasCompared) return false
    const length = topicEnd - topicStart
    return Buffer.from(bytes.buffer, bytes.byteOffset + topicStart, length).toString() !== topic
  }

  private isNext(): boolean {
    if (this.firstLeft > 0) {
      this.firstLeft--
      return true
    }
    if (++this.skipped < ONE_IN) return false
    this.skipped = 0
    return true
  }

  private headerBytesOf(size: number): number {
    if (this.plain) return 0
    if (size >= HEADER_BYTES) return HEADER_BYTES
    return size >= SEQUENCE_BYTES ? SEQUENCE_BYTES : 0
  }

  private fits(bytes: Uint8Array, from: number, to: number, sequence: number): boolean {
    const body = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from)
    const isAny = sequence === NO_SEQUENCE || this.pieces.length === 1
    // Written into the pattern: beside other digits nobody could say where a number ends.
    const pattern = isAny ? this.pattern : payloadPattern(this.pieces, sequence)
    return pattern?.test(body.toString('latin1')) ?? false
  }
}

/** Letters, so that a dump of a payload is readable. Where they begin depends on the size. */
export function filler(bytes: number): Uint8Array {
  return letters(bytes, bytes)
}

function expectedOf(payload: PayloadPlan): Buffer | null {
  if (payload.kind === 'template') return null
  if (payload.kind === 'bytes') return Buffer.from(payload.bytes)
  return Buffer.from(letters(payload.bytesMax + LETTERS, 0))
}

function letters(bytes: number, shift: number): Uint8Array {
  const payload = new Uint8Array(bytes)
  for (let i = 0; i < bytes; i++) payload[i] = 97 + ((i + shift) % LETTERS)
  return payload
}
