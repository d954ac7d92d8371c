// Reads one line of an export: every field is there, of the right kind and within its bounds, and
// there are no others; else the error says which line and which field.

import { StoreError } from './errors.ts'

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const SHOWN_LENGTH_MAX = 60

export class Fields {
  private readonly number: number
  private readonly values: Map<string, unknown>

  /** @param number of the line, from 1 */
  constructor(number: number, text: string) {
    this.number = number
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      throw this.error(`no JSON: ${error instanceof Error ? error.message : error}`)
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.error(`expected an object, got ${show(value)}`)
    }
    this.values = new Map(Object.entries(value))
  }

  has(name: string): boolean {
    return this.values.has(name)
  }

  /** A whole number within bounds. */
  integer(name: string, min = 0, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.take(name)
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
      return value
    }
    throw this.wrong(name, `a whole number from ${min} to ${max}`, value)
  }

  flag(name: string): boolean {
    const value = this.take(name)
    if (typeof value === 'boolean') return value
    throw this.wrong(name, 'true or false', value)
  }

  text(name: string): string {
    const value = this.take(name)
    if (typeof value === 'string') return value
    throw this.wrong(name, 'a text', value)
  }

  textOrNull(name: string): string | null {
    const value = this.take(name)
    if (typeof value === 'string' || value === null) return value
    throw this.wrong(name, 'a text or null', value)
  }

  oneOf<T extends string | number>(name: string, choices: readonly T[]): T {
    const value = this.take(name)
    const found = choices.find(choice => choice === value)
    if (found !== undefined) return found
    throw this.wrong(name, choices.join(' or '), value)
  }

  bytes(name: string): Uint8Array {
    const value = this.take(name)
    if (typeof value === 'string' && BASE64.test(value)) return Buffer.from(value, 'base64')
    throw this.wrong(name, 'bytes in base64', value)
  }

  integers(name: string, max: number): number[] {
    const value = this.take(name)
    const isNumber = (one: unknown): one is number =>
      typeof one === 'number' && Number.isInteger(one) && one > 0 && one <= max
    if (Array.isArray(value) && value.every(isNumber)) return value
    throw this.wrong(name, `numbers from 1 to ${max}`, value)
  }

  object(name: string): Record<string, unknown> {
    const value = this.take(name)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
    throw this.wrong(name, 'an object', value)
  }

  /** Nothing is left that nobody has asked for. */
  finish(): void {
    const [name] = this.values.keys()
    if (name !== undefined) throw this.error(`field "${name}" is unknown`)
  }

  /** @param what was expected there */
  wrong(name: string, what: string, value: unknown): StoreError {
    const got = value === undefined ? 'nothing' : show(value)
    return this.error(`field "${name}": expected ${what}, got ${got}`)
  }

  error(text: string, cause?: unknown): StoreError {
    return new StoreError('invalid-import', `line ${this.number}: ${text}`, cause)
  }

  private take(name: string): unknown {
    const value = this.values.get(name)
    this.values.delete(name)
    return value
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}...` : text
}
