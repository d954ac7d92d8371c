// What has happened, as a hash of everything and as the last lines of it in words.

import { type Packet, PacketType } from '@godwit/packet'
import { readPayload } from '../payload.ts'
import type { Link } from './link.ts'
import type { Schedule } from './schedule.ts'

const NAMES: readonly string[] = Object.keys(PacketType)

type Line = () => string

export class History {
  packets = 0
  /** Without those that only ask whether the other side is there. */
  talk = 0
  readonly #schedule: Schedule
  readonly #kept: number
  readonly #noted: (text: string) => void
  readonly #lines: Line[] = []
  readonly #names = new Map<number, string>()
  #first = 0x811c_9dc5
  #second = 0x1234_5678

  /**
   * @param lines how many are kept
   * @param noted hears what is not a packet
   */
  constructor(schedule: Schedule, lines: number, noted: (text: string) => void) {
    this.#schedule = schedule
    this.#kept = lines
    this.#noted = noted
  }

  get hash(): string {
    return hex(this.#first) + hex(this.#second)
  }

  note(text: string): void {
    this.#noted(text)
    const atMs = this.#schedule.nowMs
    this.#mixText(text)
    this.#keep(() => `${time(atMs)} ${text}`)
  }

  packet(direction: string, link: Link, packet: Packet): void {
    this.packets++
    if (packet.type !== PacketType.PINGREQ && packet.type !== PacketType.PINGRESP) this.talk++
    const atMs = this.#schedule.nowMs
    if (packet.type === PacketType.CONNECT) this.#names.set(link.id, packet.clientId)
    const name = this.#names.get(link.id) ?? '?'
    this.#mix(atMs)
    this.#mix(link.id)
    this.#mix(packet.type)
    this.#mixText(direction)
    const text = summary(packet)
    this.#mixText(text)
    this.#keep(() => `${time(atMs)} ${name} (${link.id}) ${direction} ${text}`)
  }

  last(): string[] {
    return this.#lines.slice(-this.#kept).map(line => line())
  }

  #keep(line: Line): void {
    this.#lines.push(line)
    if (this.#lines.length > this.#kept * 4) this.#lines.splice(0, this.#kept * 2)
  }

  #mixText(text: string): void {
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i))
  }

  #mix(value: number): void {
    this.#first = Math.imul(this.#first ^ value, 0x0100_0193)
    this.#second = (Math.imul(this.#second, 31) + value) | 0
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}

function time(ms: number): string {
  return (ms / 1000).toFixed(3).padStart(9)
}

function summary(packet: Packet): string {
  const name = NAMES[packet.type - 1] ?? '?'
  const { type, ...fields } = packet
  const parts = Object.entries(fields).map(([field, value]) => `${field}=${valueText(value)}`)
  return `${name} ${parts.join(' ')}`
}

function valueText(value: unknown): string {
  if (value instanceof Uint8Array) return `[${readPayload(value) ?? '?'} ${value.length}]`
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map(valueText).join(' ')}]`
  const fields = Object.entries(value).map(([name, inner]) => `${name}:${valueText(inner)}`)
  return `{${fields.join(' ')}}`
}
