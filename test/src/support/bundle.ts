// The client as a web page gets it: bundled, split and minified by esbuild, for browsers. The only
// file of the tests that knows esbuild.

import { basename } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { build, type Metafile, type OutputFile } from 'esbuild'

const PAGE = 'page.js'

/** Some of the files of a bundle, each as large as brotli makes it. */
export interface Part {
  readonly text: string
  readonly bytes: number
  readonly brotliBytes: number
}

export interface Bundle {
  /** What a page loads before its code runs: the entry, and all that this imports at once. */
  readonly first: Part
  /** What it loads when it asks for it. */
  readonly later: Part
  /** Every file by its name, the page's own first. */
  readonly files: ReadonlyMap<string, string>
  /** The sources that are in it, beside the page's own. */
  readonly inputs: readonly string[]
}

/** @param code a module that imports what it needs by package name */
export async function bundle(code: string, conditions: string[] = []): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: process.cwd(), sourcefile: PAGE },
    bundle: true,
    minify: true,
    splitting: true,
    outdir: 'bundle',
    entryNames: 'page',
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions,
    write: false,
    metafile: true,
  })
  const atOnce = importedAtOnce(metafile)
  const isFirst = ({ path }: OutputFile): boolean => atOnce.has(basename(path))
  const sorted = outputFiles.sort((a, b) => Number(isFirst(b)) - Number(isFirst(a)))
  return {
    first: partOf(sorted.filter(isFirst)),
    later: partOf(sorted.filter(file => !isFirst(file))),
    files: new Map(sorted.map(({ path, text }) => [basename(path), text])),
    inputs: Object.keys(metafile.inputs).filter(path => path !== PAGE),
  }
}

/** The page, and what is imported from it without being asked for. */
function importedAtOnce({ outputs }: Metafile): Set<string> {
  const found = new Set([PAGE])
  for (const name of found) {
    const path = Object.keys(outputs).find(each => basename(each) === name)
    for (const { kind, path: to } of outputs[path ?? '']?.imports ?? []) {
      if (kind === 'import-statement') found.add(basename(to))
    }
  }
  return found
}

function partOf(files: readonly OutputFile[]): Part {
  return {
    text: files.map(({ text }) => text).join('\n'),
    bytes: files.reduce((sum, { contents }) => sum + contents.length, 0),
    brotliBytes: files.reduce((sum, { contents }) => sum + brotliCompressSync(contents).length, 0),
  }
}
