// A copy of what is compiled, in which one source is replaced by a changed one.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { transformSync } from 'esbuild'
import type { Mutation } from './mutations.ts'

const ROOT: string = join(import.meta.dirname, '../../..')
const COPIED = ['packet', 'client', 'broker', 'cli']

/** The changed source. @throws when the place is not there exactly once */
export function mutated(mutation: Mutation): string {
  const source = readFileSync(join(ROOT, 'packages', mutation.file), 'utf8')
  const parts = source.split(mutation.find)
  if (parts.length !== 2) {
    const count = parts.length - 1
    throw new Error(`${mutation.file} has "${mutation.find}" ${count} times, expected once`)
  }
  return parts.join(mutation.replace)
}

export class Workspace {
  readonly directory: string

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'godwit-mutation-'))
    const modules = join(this.directory, 'node_modules')
    mkdirSync(join(modules, '@godwit'), { recursive: true })
    for (const name of readdirSync(join(ROOT, 'node_modules'))) {
      if (name === '@godwit' || name.startsWith('.')) continue
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
    }
    for (const name of COPIED) {
      const from = join(ROOT, 'packages', name)
      const to = join(this.directory, 'packages', name)
      cpSync(join(from, 'dist'), join(to, 'dist'), { recursive: true })
      cpSync(join(from, 'package.json'), join(to, 'package.json'))
      symlinkSync(to, join(modules, '@godwit', name))
    }
    cpSync(join(ROOT, 'package.json'), join(this.directory, 'package.json'))
    for (const name of ['simulation', 'support']) {
      const from = join(ROOT, 'test/dist', name)
      cpSync(from, join(this.directory, 'test/dist', name), { recursive: true })
    }
  }

  /** Puts the changed source in the place of what was compiled. @returns how to take it back */
  apply(mutation: Mutation): () => void {
    const compiled = mutation.file.replace('/src/', '/dist/').replace(/\.ts$/, '.js')
    const path = join(this.directory, 'packages', compiled)
    if (!existsSync(path)) throw new Error(`${path} is not there: build first`)
    const before = readFileSync(path)
    const { code } = transformSync(mutated(mutation), { loader: 'ts', format: 'esm' })
    writeFileSync(path, code.replaceAll(/(from\s+"\.[^"]*)\.ts"/g, '$1.js"'))
    return () => writeFileSync(path, before)
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
