// `sub --watch`: each topic keeps its line on the terminal, with its last message and how often one
// comes. Drawn a few times a second, whatever the rate.

import type { PublishPacket } from '@godwit/packet'
import { paint } from './paint.ts'

interface Row {
  readonly topic: string
  count: number
  text: string
  retained: boolean
  changed: boolean
}

/** More topics are counted, not shown. */
const TOPICS_MAX = 10_000
const SHOWN_BYTES_MAX = 1000
const COLUMNS_DEFAULT = 80
const ROWS_DEFAULT = 24
const DRAW_MS = 200
const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'
const CONTROL = /[\p{Cc}\p{Cf}]/gu

export class Watch {
  private readonly rows = new Map<string, Row>()
  private readonly title: string
  private readonly terminal: NodeJS.WriteStream
  private readonly timer: NodeJS.Timeout
  private readonly startedMs = performance.now()
  private total = 0
  private others = 0

  constructor(title: string, terminal: NodeJS.WriteStream) {
    this.title = title
    this.terminal = terminal
    terminal.write(ENTER)
    this.timer = setInterval(() => this.draw(), DRAW_MS)
  }

  add({ topic, payload, retain }: PublishPacket): void {
    this.total++
    let row = this.rows.get(topic)
    if (row === undefined) {
      if (this.rows.size >= TOPICS_MAX) {
        this.others++
        return
      }
      row = { topic, count: 0, text: '', retained: false, changed: true }
      this.rows.set(topic, row)
    }
    row.count++
    row.text = oneLine(payload)
    row.retained = retain
    row.changed = true
  }

  close(): void {
    clearInterval(this.timer)
    this.terminal.write(LEAVE)
    this.terminal.write(`${this.summary()}\n`)
  }

  private draw(): void {
    // A terminal that does not know its size says 0.
    const columns = this.terminal.columns || COLUMNS_DEFAULT
    const height = this.terminal.rows || ROWS_DEFAULT
    const shown = [...this.rows.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1))
    const space = Math.max(1, height - 2)
    const lines = shown.slice(0, space).map(row => this.line(row, columns))
    const hidden = shown.length - lines.length + (this.others > 0 ? 1 : 0)
    const more = hidden > 0 ? paint.dim(` (${hidden} more topics below)`) : ''
    const head = `${paint.bold(this.title)}  ${this.summary()}${more}`
    this.terminal.write(`\x1b[H${[head, ...lines].map(line => `${line}\x1b[K`).join('\n')}\x1b[J`)
  }

  private line(row: Row, columns: number): string {
    const count = String(row.count).padStart(7)
    const room = Math.max(8, columns - row.topic.length - count.length - 4)
    const text = row.text.length > room ? `${row.text.slice(0, room - 1)}…` : row.text
    const topic = row.changed ? paint.green(row.topic) : paint.cyan(row.topic)
    row.changed = false
    return `${paint.dim(count)}  ${topic}  ${row.retained ? paint.yellow(text) : text}`
  }

  private summary(): string {
    const seconds = Math.max(0.001, (performance.now() - this.startedMs) / 1000)
    const rate = (this.total / seconds).toFixed(1)
    return `${this.rows.size} topics, ${this.total} messages, ${rate} per second`
  }
}

/** What a terminal may show: a payload must not move its cursor or clear it. */
function oneLine(payload: Uint8Array): string {
  const length = Math.min(payload.length, SHOWN_BYTES_MAX)
  const text = Buffer.from(payload.buffer, payload.byteOffset, length).toString('utf8')
  return text.replace(CONTROL, '·')
}
