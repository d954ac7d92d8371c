// A raw connection to a broker: it sends what a case says, acknowledges nothing by itself, and
// keeps what comes, each packet with its bytes.

import { connect, type Socket } from 'node:net'
import {
  Decoder,
  describePacket,
  encodePacket,
  type Packet,
  PacketType,
  type ProtocolLevel,
  readPacket,
} from '@godwit/packet'
import { limit } from '../support/elapse.ts'
import { hex } from './bytes.ts'
import { check, Mismatch, NoAnswer } from './outcome.ts'

const PACKET_BYTES_MAX = 300_000_000
/** How much of the limit is waited before the broker is asked whether it still answers. */
const ASKED_AFTER = 0.5
/** How much of it an end may come behind the answer. */
const GRACE = 0.1

export interface Address {
  readonly host: string
  readonly port: number
}

/** A packet that came, with its bytes. */
export interface Received {
  readonly packet: Packet
  readonly bytes: Uint8Array
}

export class Wire {
  level: ProtocolLevel
  /** The network connection has ended, by whichever side. */
  ended = false
  readonly #socket: Socket
  readonly #limitMs: number
  readonly #name: string
  readonly #log: string[]
  readonly #decoder = new Decoder(PACKET_BYTES_MAX)
  readonly #inbox: Received[] = []
  #broken: Mismatch | null = null
  /** CONNACK 0 has come. */
  #isOpen = false
  #wake: (() => void) | null = null

  private constructor(socket: Socket, level: ProtocolLevel, limitMs: number, log: string[]) {
    this.#socket = socket
    this.level = level
    this.#limitMs = limitMs
    this.#log = log
    this.#name = `connection ${log.filter(line => line.endsWith(' opened')).length + 1}`
    this.#note('opened')
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#take(chunk))
    socket.on('error', cause => this.#note(`failed: ${cause.message}`))
    socket.on('close', () => {
      if (!this.ended) this.#note('ended')
      this.ended = true
      this.#wake?.()
    })
  }

  /**
   * @param log gets a line for whatever goes to and fro
   * @throws NoAnswer when nobody takes the connection
   */
  static open(
    address: Address,
    level: ProtocolLevel,
    limitMs: number,
    log: string[],
  ): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect(address)
      const stop = limit(limitMs, () => socket.destroy(new Error(`not within ${limitMs} ms`)))
      const refuse = (cause: Error): void => {
        stop()
        reject(new NoAnswer(`no connection: ${cause.message}`))
      }
      socket.once('error', refuse)
      socket.once('connect', () => {
        stop()
        socket.off('error', refuse)
        resolve(new Wire(socket, level, limitMs, log))
      })
    })
  }

  /** Sends packets or bytes, all in one write. */
  send(...all: readonly (Packet | Uint8Array)[]): void {
    const pieces = all.map(what => {
      const bytes = what instanceof Uint8Array ? what : encodePacket(what, this.level)
      this.#note(`> ${what instanceof Uint8Array ? hex(what) : describePacket(what)}`)
      return bytes
    })
    if (!this.ended) this.#socket.write(Buffer.concat(pieces))
  }

  /** The network connection breaks, without a word. */
  cut(): void {
    this.ended = true
    this.#note('cut')
    this.#socket.destroy()
  }

  /** What came and was not looked at. */
  get inbox(): readonly Received[] {
    return this.#inbox
  }

  /**
   * The first packet that came, or comes, for which `wanted` holds; others stay. When it does not
   * come in time the broker is asked whether it still answers.
   * @throws Mismatch when the connection ends before, or the broker answers other things
   * @throws NoAnswer when it answers nothing
   */
  async receive(what: string, wanted: (packet: Packet) => boolean): Promise<Received> {
    const find = (): number => this.#inbox.findIndex(({ packet }) => wanted(packet))
    const isOver = (): boolean => find() >= 0 || this.ended || this.#broken !== null
    let asked = false
    if (!(await this.#until(isOver, this.#limitMs * ASKED_AFTER)) && this.#isOpen) {
      this.send({ type: PacketType.PINGREQ })
      asked = true
      await this.#until(() => isOver() || this.#has(PacketType.PINGRESP), this.#limitMs)
    }
    const at = find()
    if (at >= 0) return this.#inbox.splice(at, 1)[0] as Received
    if (this.#broken !== null) throw this.#broken
    const came = `${this.#name}: expected ${what}, ${this.#came()}`
    if (this.ended) throw new Mismatch(`${came}, then the end of the connection`)
    if (asked && this.#has(PacketType.PINGRESP)) throw new Mismatch(`${came}; it goes on`)
    throw new NoAnswer(`${came} within ${this.#limitMs} ms`)
  }

  /** The first packet of this type. */
  async expect<T extends Packet['type']>(type: T): Promise<Packet & { type: T }> {
    const { packet } = await this.receive(nameOf(type), ({ type: other }) => other === type)
    return packet as Packet & { type: T }
  }

  /** The next packet, which has to be of this type. */
  async expectNext<T extends Packet['type']>(type: T): Promise<Packet & { type: T }> {
    const { packet } = await this.receive(nameOf(type), () => true)
    check(packet.type === type, `expected ${nameOf(type)} next, came ${describePacket(packet)}`)
    return packet as Packet & { type: T }
  }

  /**
   * Waits for the end of the connection. When it does not come in time the broker is asked whether
   * it still answers.
   * @returns what came before it and was not looked at
   * @throws Mismatch when the broker goes on instead
   */
  async end(): Promise<Received[]> {
    await this.#until(() => this.ended, this.#limitMs * ASKED_AFTER)
    return this.ended ? this.#inbox.splice(0) : await this.#askForEnd()
  }

  /** The same, with a PINGREQ only when the time is up: for an end because of silence. */
  async endInSilence(): Promise<Received[]> {
    await this.#until(() => this.ended, this.#limitMs)
    return this.ended ? this.#inbox.splice(0) : await this.#askForEnd()
  }

  async #askForEnd(): Promise<Received[]> {
    this.send({ type: PacketType.PINGREQ })
    const isOver = (): boolean => this.ended || this.#has(PacketType.PINGRESP)
    await this.#until(isOver, this.#limitMs)
    // A broker may answer what came before it comes to close.
    await this.#until(() => this.ended, this.#limitMs * GRACE)
    if (this.ended) return this.#inbox.splice(0)
    const text = `${this.#name}: expected the end of the connection, ${this.#came()}`
    if (this.#has(PacketType.PINGRESP)) throw new Mismatch(`${text}; it goes on`)
    throw new NoAnswer(`${text} within ${this.#limitMs} ms`)
  }

  #has(type: number): boolean {
    return this.#inbox.some(({ packet }) => packet.type === type)
  }

  /** @returns whether it came true within the time */
  async #until(isTrue: () => boolean, ms: number): Promise<boolean> {
    let isLate = false
    const stop = limit(ms, () => {
      isLate = true
      this.#wake?.()
    })
    while (!isTrue() && !isLate) await this.#change()
    stop()
    return isTrue()
  }

  #change(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        this.#wake = null
        resolve()
      }
    })
  }

  #came(): string {
    if (this.#inbox.length === 0) return 'nothing came'
    return `came ${this.#inbox.map(({ packet }) => describePacket(packet)).join(', ')}`
  }

  #take(chunk: Uint8Array): void {
    if (this.#broken !== null) return
    const decoder = this.#decoder
    decoder.push(Uint8Array.from(chunk))
    try {
      while (decoder.next()) {
        const { first, bytes, start, bodyStart, end } = decoder
        const own = bytes.slice(start, end)
        // A broker may refuse a level that it does not know in the words of another.
        const isOldConnack = first >> 4 === PacketType.CONNACK && end - bodyStart === 2
        const level = isOldConnack ? 4 : this.level
        const packet = readPacket(first, own, bodyStart - start, end - start, level, 'server')
        this.#note(`< ${describePacket(packet)}`)
        this.#inbox.push({ packet, bytes: own })
        if (packet.type === PacketType.CONNACK && packet.reasonCode === 0) this.#isOpen = true
      }
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause)
      this.#broken = new Mismatch(`the broker sent what nobody can read: ${text}: ${hex(chunk)}`)
      this.#note(`< ${hex(chunk)}`)
    }
    this.#wake?.()
  }

  #note(text: string): void {
    this.#log.push(`${this.#name} ${text}`)
  }
}

function nameOf(type: number): string {
  return Object.entries(PacketType).find(([, value]) => value === type)?.[0] ?? String(type)
}
