// The client as a web page gets it: bundled and minified by esbuild, for browsers. The only file of
// the tests that knows esbuild.

import { brotliCompressSync } from 'node:zlib'
import { build } from 'esbuild'

const PAGE = 'page.js'

export interface Bundle {
  readonly text: string
  readonly bytes: number
  readonly brotliBytes: number
  /** The files that are in it, beside the page's own. */
  readonly inputs: readonly string[]
}

/** @param code a module that imports what it needs by package name */
export async function bundle(code: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: process.cwd(), sourcefile: PAGE },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
  })
  const [output] = outputFiles
  if (output === undefined) throw new Error('esbuild has made no file')
  const { contents, text } = output
  return {
    text,
    bytes: contents.length,
    brotliBytes: brotliCompressSync(contents).length,
    inputs: Object.keys(metafile.inputs).filter(path => path !== PAGE),
  }
}
