// One process per directory. The holder listens on a socket in the directory: the system closes it
// however the process ends, and whoever comes second asks it who it is. A file alone would outlive
// a killed process; Node has no locks of files.

import fs from 'node:fs'
import net from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { StoreError, systemCode } from './errors.ts'

const NAME = 'lock'
const ANSWER_TIMEOUT_MS = 1000
const ATTEMPTS = 5
/** Nobody listens, or the name went away meanwhile; another error says nothing about the holder. */
const IS_DEAD: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET'])
/** The system's bound for the path of a socket; Linux has 108, others less. */
const SOCKET_PATH_BYTES_MAX = 100

export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Takes the directory until `release`, or the end of the process.
 * @throws StoreError `locked`, with who holds it
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const place = new SocketPlace(directory)
  const own = place.path(`${NAME}-${process.pid}-${Date.now().toString(36)}`)
  const server = await listen(own)
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (link(own, place.path(NAME))) return new SocketLock(server, place)
      const number = fileNumber(place.path(NAME))
      const holder = await ask(place.path(NAME))
      if (holder !== null) throw new StoreError('locked', `${directory} is in use by ${holder}`)
      removeStale(place, number)
    }
    throw new StoreError('locked', `${directory} is being taken by several processes at once`)
  } catch (error) {
    await close(server)
    place.close()
    throw error
  } finally {
    fs.rmSync(own, { force: true })
  }
}

/** Gives short paths to what is in a directory, whatever the length of its own. */
class SocketPlace {
  private readonly directory: string
  private readonly descriptor: number

  constructor(directory: string) {
    const isLong = Buffer.byteLength(join(directory, NAME)) + 32 > SOCKET_PATH_BYTES_MAX
    this.descriptor = isLong ? fs.openSync(directory, 'r') : -1
    this.directory = isLong ? `/proc/self/fd/${this.descriptor}` : directory
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  close(): void {
    if (this.descriptor >= 0) fs.closeSync(this.descriptor)
  }
}

class SocketLock implements DirectoryLock {
  private readonly server: net.Server
  private readonly place: SocketPlace

  constructor(server: net.Server, place: SocketPlace) {
    this.server = server
    this.place = place
  }

  async release(): Promise<void> {
    fs.rmSync(this.place.path(NAME), { force: true })
    await close(this.server)
    this.place.close()
  }
}

function listen(path: string): Promise<net.Server> {
  const since = new Date().toISOString()
  const who = `process ${process.pid} on ${hostname()}, since ${since}`
  const server = net.createServer(socket => {
    socket.on('error', () => socket.destroy())
    socket.end(who)
  })
  server.unref()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}

function close(server: net.Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}

/** Names are made in one step: of two processes one gets it. */
function link(from: string, to: string): boolean {
  try {
    fs.linkSync(from, to)
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

/** @returns who answers, or null when nobody does */
function ask(path: string): Promise<string | null> {
  return new Promise(resolve => {
    let answer = ''
    const socket = net.connect(path)
    const timer = setTimeout(() => {
      socket.destroy()
      resolve(answer || 'a process that does not answer')
    }, ANSWER_TIMEOUT_MS)
    socket.on('data', data => {
      answer += data.toString()
    })
    socket.on('error', error => {
      clearTimeout(timer)
      const code = systemCode(error)
      resolve(IS_DEAD.has(code) ? null : `a process that cannot be asked (${code})`)
    })
    socket.on('end', () => {
      clearTimeout(timer)
      resolve(answer)
    })
  })
}

/** Takes the dead holder's name away; when another was quicker its name is put back. */
function removeStale(place: SocketPlace, staleNumber: bigint): void {
  const aside = place.path(`${NAME}-stale-${process.pid}`)
  try {
    fs.renameSync(place.path(NAME), aside)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw error
  }
  if (fileNumber(aside) !== staleNumber) link(aside, place.path(NAME))
  fs.rmSync(aside, { force: true })
}

/** What tells one file from another that has the same name later; 0: there is none. */
function fileNumber(path: string): bigint {
  return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n
}
