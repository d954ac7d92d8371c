// Keeps some of the files that a process may have open (ulimit -n) away from connections: without
// one the store could make no file of its log, and would have to end the broker. No system call
// says how many are open, but a file gets the lowest number that is free: that of the connection
// which has just come says it, and where it is not known a file is opened to see.

import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Server } from 'node:net'

/** For the files of the store, certificates, names and metrics. */
export const DESCRIPTORS_RESERVED_MAX = 64
/** It is looked after so many of unknown number: far fewer than are kept away. */
const LOOK_EVERY = 8
/** Node 20 takes 0 for no limit. */
const AS_GOOD_AS_NONE = 1

/** What the system says. */
export interface DescriptorWorld {
  /** The most that the process may have; Infinity: it is not known. */
  readonly most: number
  /** The number that the next file would get; `most` when there is none. */
  next(): number
}

export class Descriptors {
  readonly most: number
  /** No connections are taken now. */
  isShut = false
  private readonly world: DescriptorWorld
  private readonly turned: (isShut: boolean) => void
  private readonly threshold: number
  private readonly servers = new Map<Server, number>()
  private accepted = 0

  /** @param turned is told when connections are taken no longer, and when they are again */
  constructor(turned: (isShut: boolean) => void, world: DescriptorWorld = systemOf()) {
    this.turned = turned
    this.world = world
    this.most = world.most
    this.threshold = world.most - Math.min(DESCRIPTORS_RESERVED_MAX, Math.floor(world.most / 4))
  }

  /** The server takes at most so many connections, and none while descriptors are short. */
  watch(server: Server, connectionsMax: number): void {
    this.servers.set(server, connectionsMax)
    server.maxConnections = this.isShut ? AS_GOOD_AS_NONE : connectionsMax
    server.on('close', () => this.servers.delete(server))
    if (this.most === Number.POSITIVE_INFINITY) return
    server.on('connection', socket => {
      const descriptor = descriptorOf(socket as WithHandle | undefined)
      const isMany =
        descriptor < 0 ? ++this.accepted % LOOK_EVERY === 0 : descriptor >= this.threshold
      if (isMany) this.look()
    })
  }

  /** Also about every 100 ms, so that connections are taken again. */
  look(): void {
    if (this.most === Number.POSITIVE_INFINITY) return
    const isShut = this.world.next() >= this.threshold
    if (isShut === this.isShut) return
    this.isShut = isShut
    for (const [server, connectionsMax] of this.servers) {
      server.maxConnections = isShut ? AS_GOOD_AS_NONE : connectionsMax
    }
    this.turned(isShut)
  }
}

/** A part of Node's own. */
interface WithHandle {
  readonly _handle?: { readonly fd?: unknown } | null
}

/** -1 where Node is not as it was from 20 to 26. */
function descriptorOf(socket: WithHandle | undefined): number {
  const descriptor = socket?._handle?.fd
  return typeof descriptor === 'number' ? descriptor : -1
}

/** On Linux; elsewhere nothing is known, and nothing is kept away. */
function systemOf(): DescriptorWorld {
  const most = mostOf()
  return {
    most,
    next: () => {
      try {
        const descriptor = openSync('/dev/null', 'r')
        closeSync(descriptor)
        return descriptor
      } catch {
        return most
      }
    },
  }
}

function mostOf(): number {
  try {
    const [, soft] =
      /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
