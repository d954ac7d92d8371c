// hot
// Puts packets into the outputs of connections and writes them when the turn ends: one write per
// connection and turn. Acknowledgements that wait for a batch of the store are held here, in order.

import { PacketType } from '@godwit/packet'
import { type Connection, ConnectionState, type Held, HeldMessage } from './connection.ts'
import type { Counters } from './counters.ts'
import { type Limits, POOLED_OUTPUTS_MAX } from './limits.ts'
import { Arena, giveBackPieces, Output } from './outbox.ts'
import type { Trace, Turn } from './ports.ts'

/** An output that has grown to this is written before the turn ends. */
const FLUSH_BYTES = 256 * 1024
/** Up to so many bytes a packet is copied at once. */
const SMALL_PACKET_BYTES = 64
/** What each connection may hold when all together hold too much. */
const SHARE_WHEN_FULL_BYTES = 64 * 1024

/** Of who has so many acknowledgements held the arrays are kept; who is idle needs none. */
const FEW_HELD = 4
const MANY_HELD = 64

/** The batch of what waits for nothing. */
export const NO_BATCH = 0

export class Sender {
  readonly arena: Arena = new Arena()
  /** Everything up to this batch is on disk. */
  durableBatch = 0
  /** Bytes of all connections that the network has not taken. */
  totalPendingBytes = 0
  /** They are too many: publishers are read slowly. */
  congested = false
  private readonly turn: Turn
  private readonly counters: Counters
  private readonly limits: Limits
  private readonly trace: Trace
  private readonly dirty: Connection[] = []
  private readonly pool: Output[] = []
  private readonly pieces: Uint8Array[] = []
  private holding: Connection[] = []
  private sendLimit: number
  private requested = false
  /** The turn is ending: what is appended now is written with it. */
  private ending = false
  private readonly becomeReady: (connection: Connection) => void
  private readonly sendHeld: (connection: Connection, held: HeldMessage) => void

  constructor(
    turn: Turn,
    counters: Counters,
    limits: Limits,
    trace: Trace,
    becomeReady: (connection: Connection) => void,
    sendHeld: (connection: Connection, held: HeldMessage) => void,
  ) {
    this.sendHeld = sendHeld
    this.becomeReady = becomeReady
    this.turn = turn
    this.counters = counters
    this.limits = limits
    this.trace = trace
    this.sendLimit = limits.outgoingBytesMax
  }

  /** Asks for the end of the turn, once. */
  requestTurn(): void {
    if (this.requested) return
    this.requested = true
    this.turn.request()
  }

  /** The turn ends: who wakes from now on needs another one. */
  beginEnd(): void {
    this.requested = false
    this.ending = true
  }

  /** Where to append what goes to this connection in this turn. */
  outputOf(connection: Connection): Output {
    if (connection.output !== null) return connection.output
    const output = this.pool.pop() ?? new Output()
    connection.output = output
    this.dirty.push(connection)
    if (!this.ending) this.requestTurn()
    return output
  }

  /** Whether more may be put into the connection's output: the bound of a slow subscriber. */
  hasRoom(connection: Connection): boolean {
    const output = connection.output
    if (output !== null && output.bytes >= FLUSH_BYTES) this.flush(connection)
    return connection.pendingBytes < this.sendLimit
  }

  /** PUBACK, PUBREC, PUBREL or PUBCOMP, as soon as `batch` is durable. */
  acknowledge(
    connection: Connection,
    type: number,
    packetId: number,
    reasonCode: number,
    batch: number,
  ): void {
    if (batch > this.durableBatch || this.holds(connection)) {
      this.hold(connection, (type << 24) | (reasonCode << 16) | packetId, batch)
      if (type === PacketType.PUBACK) connection.heldPublishes++
      return
    }
    this.writeAcknowledgement(connection, type, packetId, reasonCode)
  }

  /** A whole packet, as soon as `batch` is durable. It belongs to the sender from now on. */
  packet(connection: Connection, packet: Uint8Array, batch: number): void {
    if (batch > this.durableBatch || this.holds(connection)) {
      this.hold(connection, packet, batch)
      return
    }
    this.writePacket(connection, packet)
  }

  /** Without waiting for what is held: for DISCONNECT and the like. */
  writePacket(connection: Connection, packet: Uint8Array): void {
    this.counters.packetsSent++
    const output = this.outputOf(connection)
    const { length } = packet
    if (length > SMALL_PACKET_BYTES) output.append(packet, 0, length)
    else {
      // Small ones beside one another become one piece: a million PINGRESP would be as many.
      const { arena } = this
      arena.reserve(length)
      const start = arena.at
      for (let i = 0; i < length; i++) arena.bytes[start + i] = packet[i] as number
      arena.at = start + length
      output.append(arena.bytes, start, arena.at)
    }
    if (output.bytes >= FLUSH_BYTES) this.flush(connection)
  }

  /**
   * A QoS 0 message for a client that has no CONNACK yet, or older ones that still wait: behind
   * what is held [MQTT-3.2.0-1] [MQTT-4.6.0-6].
   * @returns false when so much waits already that there is no room
   */
  messageBehindHeld(
    connection: Connection,
    what: Uint8Array | HeldMessage,
    byteLength: number,
  ): boolean {
    const bytes = connection.heldMessageBytes + byteLength
    if (bytes > this.limits.outgoingBytesMax) return false
    connection.heldMessageBytes = bytes
    this.hold(connection, what, NO_BATCH)
    return true
  }

  /** The store says that all batches up to `batch` are on disk. */
  durable(batch: number): void {
    if (batch <= this.durableBatch) return
    this.durableBatch = batch
    if (this.holding.length === 0) return
    const holding = this.holding
    this.holding = []
    for (let i = 0; i < holding.length; i++) this.releaseHeld(holding[i] as Connection)
  }

  /** Forgets what is held: the connection ends. */
  dropHeld(connection: Connection): void {
    connection.held = null
    connection.heldBatches = null
    connection.heldCount = 0
    connection.heldMessageBytes = 0
    connection.heldPublishes = 0
  }

  /** Writes what the turn has produced. */
  flushAll(): void {
    const dirty = this.dirty
    for (let i = 0; i < dirty.length; i++) {
      const connection = dirty[i] as Connection
      this.flush(connection)
      if (connection.endAfterFlush && connection.state === ConnectionState.ENDING) {
        connection.endAfterFlush = false
        connection.wire.end()
      }
    }
    dirty.length = 0
    this.ending = false
    this.arena.reset()
    this.congested = this.totalPendingBytes > this.limits.totalOutgoingBytesMax
    this.sendLimit = this.congested ? SHARE_WHEN_FULL_BYTES : this.limits.outgoingBytesMax
  }

  /** The network has taken what was written. */
  drained(connection: Connection): void {
    this.totalPendingBytes -= connection.pendingBytes
    connection.pendingBytes = 0
  }

  private flush(connection: Connection): void {
    const output = connection.output
    if (output === null) return
    if (connection.state === ConnectionState.CLOSED) output.clear()
    else if (output.bytes > 0) this.write(connection, output)
    connection.output = null
    if (this.pool.length < POOLED_OUTPUTS_MAX) this.pool.push(output)
  }

  private write(connection: Connection, output: Output): void {
    const wire = connection.wire
    const before = connection.pendingBytes
    const share = before === 0 || wire.pendingBytes() === 0
    this.counters.bytesSent += output.bytes
    output.take(this.arena.bytes, share, this.pieces)
    if (this.trace.packets) {
      this.trace.sent(wire.origin, connection.clientId, this.pieces)
    }
    wire.write(this.pieces)
    const pending = wire.pendingBytes()
    if (pending === 0 && wire.copies === true) giveBackPieces()
    connection.pendingBytes = pending
    this.totalPendingBytes += pending - before
  }

  private holds(connection: Connection): boolean {
    return connection.heldCount > 0
  }

  private hold(connection: Connection, what: Held, batch: number): void {
    if (connection.held === null || connection.heldBatches === null) {
      connection.held = []
      connection.heldBatches = []
    }
    const index = connection.heldCount++
    if (index === 0) this.holding.push(connection)
    connection.held[index] = what
    connection.heldBatches[index] = batch
    this.requestTurn()
  }

  private releaseHeld(connection: Connection): void {
    const held = connection.held
    const batches = connection.heldBatches
    if (held === null || batches === null) return
    const count = connection.heldCount
    let released = 0
    while (released < count && (batches[released] as number) <= this.durableBatch) {
      const what = held[released] as Held
      if (typeof what === 'number') this.releaseAcknowledgement(connection, what)
      else if (what instanceof HeldMessage) this.sendHeld(connection, what)
      else this.writePacket(connection, what)
      held[released++] = 0
    }
    // The first packet that an open connection gets is its CONNACK [MQTT-3.2.0-1].
    if (released > 0 && !connection.ready) this.becomeReady(connection)
    connection.heldCount = count - released
    if (released === count) connection.heldMessageBytes = 0
    if (released < count) {
      // `copyWithin` of an array asks for each property whether it is there.
      for (let i = released; i < count; i++) {
        held[i - released] = held[i] as Held
        batches[i - released] = batches[i] as number
      }
      this.holding.push(connection)
    } else if (count < FEW_HELD || count > MANY_HELD) {
      connection.held = null
      connection.heldBatches = null
    }
  }

  private releaseAcknowledgement(connection: Connection, packed: number): void {
    const type = packed >> 24
    if (type === PacketType.PUBACK) connection.heldPublishes--
    this.writeAcknowledgement(connection, type, packed & 0xffff, (packed >> 16) & 0xff)
  }

  private writeAcknowledgement(
    connection: Connection,
    type: number,
    packetId: number,
    reasonCode: number,
  ): void {
    const arena = this.arena
    arena.reserve(5)
    const out = arena.bytes
    const start = arena.at
    const long = connection.level5 && reasonCode !== 0
    out[start] = (type << 4) | (type === PacketType.PUBREL ? 2 : 0) // [MQTT-3.6.1-1]
    out[start + 1] = long ? 3 : 2
    out[start + 2] = packetId >> 8
    out[start + 3] = packetId & 255
    if (long) out[start + 4] = reasonCode
    arena.at = start + (long ? 5 : 4)
    this.counters.packetsSent++
    this.outputOf(connection).append(out, start, arena.at)
  }
}
