// The files of the repository as the tidy rules see them: path, text, scan and imports.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Scan, scan } from './scanner.ts'

/** The root of the repository, with a slash at its end. */
export const ROOT: string = fileURLToPath(new URL('../../../', import.meta.url))

const SOURCE_FOLDERS = ['packages', 'test/src', 'bench/src', 'scripts', 'examples']
const IGNORED_FOLDERS = new Set(['node_modules', 'dist', '.git', 'data', 'coverage'])
const STATEMENT = /\b(import|export)\b(\s+type\b)?(?:[^'"`;()=]*?\bfrom)?\s*['"]/g
const CALL = /\b(import|require)\s*\(\s*(['"])/g

export interface Import {
  readonly line: number
  readonly specifier: string
  /** `import type`: gone after compiling. */
  readonly typeOnly: boolean
  /** `export … from`. */
  readonly reExport: boolean
}

export interface SourceFile {
  /** Below the root, with slashes. */
  readonly path: string
  readonly text: string
  readonly scan: Scan
  readonly imports: readonly Import[]
  /** The name of its folder below `packages`, or ''. */
  readonly packageName: string
  /** Part of a package and neither a test nor a helper of tests. */
  readonly isProduction: boolean
  readonly isTest: boolean
}

/** Reads one source: the path decides what rules it is under. */
export function sourceFile(path: string, text: string): SourceFile {
  const scanned = scan(text)
  const packageName = /^packages\/([^/]+)\/src\//.exec(path)?.[1] ?? ''
  const isTest =
    path.startsWith('test/') || /\.test\.[jt]s$/.test(path) || path.includes('/testing/')
  return {
    path,
    text,
    scan: scanned,
    imports: importsOf(text, scanned.code),
    packageName,
    isProduction: packageName !== '' && !isTest,
    isTest,
  }
}

/** Every source of the repository. */
export function allSources(): SourceFile[] {
  return SOURCE_FOLDERS.filter(folder => existsSync(join(ROOT, folder)))
    .flatMap(folder => filesBelow(folder))
    .filter(path => /\.(?:ts|js|mjs)$/.test(path))
    .map(path => sourceFile(path, readFileSync(join(ROOT, path), 'utf8')))
}

/** The paths below a folder of the repository ('' is its root), what is ignored left out. */
export function filesBelow(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { withFileTypes: true })
  return entries.flatMap(entry => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return IGNORED_FOLDERS.has(entry.name) ? [] : filesBelow(path)
    return entry.isFile() ? [path] : []
  })
}

/** The line (from 1) of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line++
  return line
}

// The code has its strings blanked, so the specifier is read from the text at the same offset.
function importsOf(text: string, code: string): Import[] {
  const found: Import[] = []
  for (const match of code.matchAll(STATEMENT)) {
    found.push({
      line: lineAt(text, match.index),
      specifier: specifierAt(text, match.index + match[0].length - 1),
      typeOnly: match[2] !== undefined,
      reExport: match[1] === 'export',
    })
  }
  for (const match of code.matchAll(CALL)) {
    const specifier = specifierAt(text, match.index + match[0].length - 1)
    found.push({ line: lineAt(text, match.index), specifier, typeOnly: false, reExport: false })
  }
  return found
}

function specifierAt(text: string, quote: number): string {
  return text.slice(quote + 1, text.indexOf(text.charAt(quote), quote + 1))
}
