// A small disk in memory whose contents can be looked at from below: ext4 on a loop device on a
// file in a file system of its own. Root only.

import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MIB = 1024 * 1024
const PROGRAMS = ['mkfs.ext4', 'losetup', 'mount', 'umount']
const FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** @returns what is missing to make a disk, or undefined */
export function missingForDisks(): string | undefined {
  if (process.platform !== 'linux') return 'Linux, for loop devices'
  if (process.getuid?.() !== 0) return 'root, for loop devices'
  const absent = PROGRAMS.find(name => !FOLDERS.some(folder => existsSync(join(folder, name))))
  if (absent !== undefined) return absent
  try {
    run('losetup', '-f')
  } catch {
    return 'a free loop device'
  }
  return undefined
}

/** Memory that the files of disks are in. */
export class DiskRoom {
  private readonly directory: string
  private readonly disks = new Set<LoopDisk>()

  constructor(directory: string, byteCount: number) {
    this.directory = directory
    mkdirSync(directory, { recursive: true })
    run('mount', '-t', 'tmpfs', '-o', `size=${byteCount}`, 'tmpfs', directory)
  }

  /** A new, empty disk that is mounted. */
  make(name: string, mebibytes: number): LoopDisk {
    const image = this.imageOf(name)
    writeFileSync(image, '')
    truncateSync(image, mebibytes * MIB)
    run('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
    return this.open(name)
  }

  /** What has reached a disk by now, as after a power failure; `open` mounts it. */
  copyImage(name: string, from: LoopDisk): void {
    copyFileSync(this.imageOf(from.name), this.imageOf(name))
  }

  open(name: string): LoopDisk {
    const disk = new LoopDisk(name, this.imageOf(name), join(this.directory, name))
    this.disks.add(disk)
    return disk
  }

  discard(disk: LoopDisk): void {
    disk.unmount()
    this.disks.delete(disk)
    rmSync(this.imageOf(disk.name))
  }

  /** Everything goes. */
  close(): void {
    for (const disk of this.disks) disk.unmount()
    run('umount', this.directory)
  }

  private imageOf(name: string): string {
    return join(this.directory, `${name}.img`)
  }
}

export class LoopDisk {
  readonly name: string
  readonly mountPoint: string

  constructor(name: string, image: string, mountPoint: string) {
    this.name = name
    this.mountPoint = mountPoint
    mkdirSync(mountPoint, { recursive: true })
    // Long enough that the journal is written when the store syncs and not by itself.
    run('mount', '-o', 'loop,commit=60', image, mountPoint)
  }

  /** What was written so far is on the disk. */
  sync(): void {
    run('sync', '-f', this.mountPoint)
  }

  unmount(): void {
    run('umount', this.mountPoint)
  }
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
