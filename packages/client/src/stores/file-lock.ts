// One client per session file. The holder listens on a socket beside the file: the system closes
// it however the process ends, and whoever comes second asks it who it is. A file alone would
// outlive a killed process, and Node has no locks of files.

import { closeSync, linkSync, lstatSync, openSync, renameSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'

const ANSWER_TIMEOUT_MS = 2000
const ATTEMPTS = 5
/** The system's bound for the path of a socket; Linux has 108, others less. */
const SOCKET_PATH_BYTES_MAX = 100
const SUFFIX_BYTES_MAX = 32
const NAME_BYTES_MAX = 40

let count = 0

/** A file that is taken until `release`, or the end of the process. */
export class FileLock {
  private readonly server: Server
  private readonly place: Place

  private constructor(server: Server, place: Place) {
    this.server = server
    this.place = place
  }

  /** @throws Error when somebody has it, and says who */
  static async take(path: string): Promise<FileLock> {
    const place = new Place(path)
    const own = place.path(`.lock-${process.pid}-${++count}`)
    let server: Server | null = null
    try {
      server = await listen(own)
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (link(own, place.path('.lock'))) return new FileLock(server, place)
        const { number, isSocket } = look(place.path('.lock'))
        if (number === 0n) continue
        if (!isSocket) throw new Error(`${path}.lock is in the way: expected a lock of ours`)
        const holder = await ask(place.path('.lock'))
        if (holder === null) removeStale(place, number)
        else if (holder !== '') throw new Error(`${path} is in use by ${holder}`)
      }
      throw new Error(`${path} is being opened by several clients at once`)
    } catch (error) {
      if (server !== null) await stop(server)
      place.close()
      throw error
    } finally {
      rmSync(own, { force: true })
    }
  }

  async release(): Promise<void> {
    rmSync(this.place.path('.lock'), { force: true })
    await stop(this.server)
    this.place.close()
  }
}

/** Gives short paths to what lies beside a file, whatever the length of its own. */
class Place {
  private readonly folder: string
  private readonly name: string
  private readonly descriptor: number

  constructor(path: string) {
    const folder = dirname(path)
    const isLong = Buffer.byteLength(path) + SUFFIX_BYTES_MAX > SOCKET_PATH_BYTES_MAX
    const name = basename(path)
    const isLongName = Buffer.byteLength(name) > NAME_BYTES_MAX
    this.name = isLongName ? `.${crc32(name).toString(16)}` : name
    this.descriptor = isLong ? openSync(folder, 'r') : -1
    this.folder = isLong ? `/proc/self/fd/${this.descriptor}` : folder
  }

  path(suffix: string): string {
    return join(this.folder, this.name + suffix)
  }

  close(): void {
    if (this.descriptor >= 0) closeSync(this.descriptor)
  }
}

function listen(path: string): Promise<Server> {
  const since = new Date().toISOString()
  const who = `process ${process.pid} on ${hostname()}, since ${since}`
  const server = createServer(socket => {
    socket.on('error', () => socket.destroy())
    socket.end(who)
  })
  server.unref()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}

function stop(server: Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}

/** A name is made in one step: of two processes one gets it. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
}

/** @returns who answers, null when nobody listens, nothing when it ends just now */
function ask(path: string): Promise<string | null> {
  return new Promise(resolve => {
    let answer = ''
    const socket = connect(path)
    const timer = setTimeout(() => {
      socket.destroy()
      resolve(answer || 'a process that does not answer')
    }, ANSWER_TIMEOUT_MS)
    const settle = (holder: string | null): void => {
      clearTimeout(timer)
      resolve(holder)
    }
    socket.on('data', data => {
      answer += data.toString()
    })
    socket.on('error', error => {
      const isDead = isCode(error, 'ECONNREFUSED') || isCode(error, 'ENOENT')
      if (isCode(error, 'ECONNRESET') || isCode(error, 'EPIPE')) settle('')
      else settle(isDead ? null : `a process that cannot be asked: ${error.message}`)
    })
    socket.on('end', () => settle(answer))
  })
}

/** Takes the dead holder's name away; when another was quicker its name is put back. */
function removeStale(place: Place, staleNumber: bigint): void {
  const lock = place.path('.lock')
  const aside = place.path(`.lock-stale-${process.pid}`)
  try {
    renameSync(lock, aside)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return
    throw error
  }
  if (look(aside).number !== staleNumber) link(aside, lock)
  rmSync(aside, { force: true })
}

/** The number tells one file from another that has the same name later; 0: there is none. */
function look(path: string): { readonly number: bigint; readonly isSocket: boolean } {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return { number: stats?.ino ?? 0n, isSocket: stats?.isSocket() === true }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
