// The rules on who may import whom and on what the pure parts may touch: numbers 1 to 9 of the
// table in tidy.test.ts.
import { posix } from 'node:path'
import { type Import, lineAt, type SourceFile } from './files.ts'

/** What a rule says about a place: `path:line: what is wrong`. */
export type Violation = string

export type Rule = (files: readonly SourceFile[]) => Violation[]

const SHELL_FOLDERS = ['listeners', 'store', 'guard', 'admin', 'peers']
const PURE_CLIENT_FILES = ['packages/client/src/session.ts', 'packages/client/src/link.ts']
/** Public surfaces beside `index.ts`, as the package's `exports` name them. */
const MORE_ENTRIES = ['browser', 'lite', 'protocol'].map(name => `packages/client/src/${name}.ts`)
const OUTSIDE_CLIENT = /^packages\/client\/src\/(?:transports|stores)\//
const IMPURE = identifiers([
  ...['Date', 'performance', 'process', 'console', 'async', 'await', 'Promise'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval'],
  ...['queueMicrotask', 'Math.random', 'crypto'],
])
const PLATFORM = identifiers([
  ...['WebSocket', 'fetch', 'process', 'Buffer', 'indexedDB', 'localStorage'],
  ...['window', 'document', 'navigator'],
])

export const packetImportsNothing: Rule = files =>
  eachImport(production(files, 'packet'), ({ specifier }) =>
    isRelative(specifier) ? undefined : `packet imports ${specifier}`,
  )

export const clientStaysInside: Rule = files => {
  const client = production(files, 'client')
  const inner = client.filter(file => !OUTSIDE_CLIENT.test(file.path))
  return [
    ...eachImport(client, ({ specifier }) =>
      isPackage(specifier, '@godwit/broker') || isPackage(specifier, 'godwit')
        ? `client imports ${specifier}`
        : undefined,
    ),
    ...eachImport(inner, ({ specifier }) =>
      isRelative(specifier) || isPackage(specifier, '@godwit/packet')
        ? undefined
        : `only transports/ and stores/ touch the outside, not ${specifier}`,
    ),
    ...eachMatch(inner, PLATFORM, name => `only transports/ and stores/ touch ${name}`),
  ]
}

export const brokerStaysBelow: Rule = files =>
  eachImport(production(files, 'broker'), ({ specifier }) =>
    isPackage(specifier, '@godwit/client') || isPackage(specifier, 'godwit')
      ? `broker imports ${specifier}`
      : undefined,
  )

export const coreImportsCoreOnly: Rule = files =>
  eachImport(coreFiles(files), ({ specifier }, file) => {
    if (isPackage(specifier, '@godwit/packet')) return undefined
    const target = resolved(file, specifier)
    const inside = isRelative(specifier) && target.startsWith('packages/broker/src/core/')
    return inside ? undefined : `core imports ${specifier}`
  })

export const coreIsPure: Rule = files => {
  const client = files.filter(file => PURE_CLIENT_FILES.includes(file.path))
  return eachMatch([...coreFiles(files), ...client], IMPURE, name => `a pure file uses ${name}`)
}

export const shellsMeetInServer: Rule = files =>
  eachImport(production(files, 'broker'), ({ specifier }, file) => {
    const from = shellOf(file.path)
    if (from === '' || !isRelative(specifier)) return undefined
    const target = resolved(file, specifier)
    const to = shellOf(target)
    if (to !== '' && to !== from) return `${from} imports ${to}`
    const seesCore = target.startsWith('packages/broker/src/core/')
    return seesCore && !target.endsWith('/core/ports.ts') ? `${from} imports ${target}` : undefined
  })

export const thirdPartyOnce: Rule = files => {
  const importers = new Map<string, Map<string, string>>()
  const sources = files.filter(file => file.isProduction)
  for (const file of sources) {
    for (const { specifier, line } of file.imports) {
      if (isRelative(specifier) || isOwn(specifier) || specifier.startsWith('node:')) continue
      const key = `${file.packageName} ${packageOf(specifier)}`
      const places = importers.get(key) ?? new Map<string, string>()
      places.set(file.path, `${file.path}:${line}`)
      importers.set(key, places)
    }
  }
  return [...importers]
    .filter(([, places]) => places.size > 1)
    .flatMap(([key, places]) =>
      [...places.values()].map(place => `${place}: ${key.split(' ')[1]} has several importers`),
    )
}

export const packagesByName: Rule = files =>
  eachImport(files, ({ specifier }, file) => {
    if (!isRelative(specifier)) return undefined
    const home = rootOf(file.path)
    return rootOf(resolved(file, specifier)) === home ? undefined : `${specifier} leaves ${home}`
  })

export const noIndexInside: Rule = files => {
  const sources = files.filter(file => file.packageName !== '')
  const isIndex = (path: string): boolean =>
    path.endsWith('/src/index.ts') || MORE_ENTRIES.includes(path)
  return [
    ...eachImport(sources, ({ specifier }, file) =>
      isRelative(specifier) && isIndex(resolved(file, specifier)) && file.isProduction
        ? 'index.ts is for other packages'
        : undefined,
    ),
    ...eachImport(sources, ({ reExport }, file) =>
      reExport && !isIndex(file.path) ? 'only index.ts re-exports' : undefined,
    ),
  ]
}

export const noTestsInProduction: Rule = files =>
  eachImport(
    files.filter(file => file.isProduction),
    ({ specifier }) =>
      /(?:\.test\.[jt]s$|\/testing\/|^node:test\b|^node:assert\b)/.test(specifier) &&
      !/^node:assert(?:\/strict)?$/.test(specifier)
        ? `production imports ${specifier}`
        : undefined,
  )

/** Value imports only: `import type` is gone after compiling. */
export const noImportCycles: Rule = files => {
  const byPath = new Map(files.map(file => [file.path, file]))
  const done = new Set<string>()
  const cycles: Violation[] = []
  for (const start of files) {
    // Depth first without recursion: `trail` is the way from the start to the file on top.
    const trail: { file: SourceFile; next: number }[] = [{ file: start, next: 0 }]
    while (trail.length > 0) {
      const top = trail[trail.length - 1]
      if (top === undefined) break
      const edge = done.has(top.file.path) ? undefined : top.file.imports[top.next++]
      if (edge === undefined) {
        done.add(top.file.path)
        trail.pop()
        continue
      }
      const target = valueTarget(top.file, edge, byPath)
      if (target === undefined || done.has(target.path)) continue
      const seenAt = trail.findIndex(step => step.file === target)
      if (seenAt === -1) trail.push({ file: target, next: 0 })
      else
        cycles.push(
          cycleText(
            trail.slice(seenAt).map(step => step.file.path),
            edge.line,
          ),
        )
    }
  }
  return cycles
}

/** Calls `judge` for every import; what it returns is wrong with that line. */
export function eachImport(
  files: readonly SourceFile[],
  judge: (found: Import, file: SourceFile) => string | undefined,
): Violation[] {
  return files.flatMap(file =>
    file.imports.flatMap(found => {
      const wrong = judge(found, file)
      return wrong === undefined ? [] : [`${file.path}:${found.line}: ${wrong}`]
    }),
  )
}

/** One violation for each match in the code, strings and comments left out. */
export function eachMatch(
  files: readonly SourceFile[],
  pattern: RegExp,
  say: (match: string) => string,
): Violation[] {
  return files.flatMap(file =>
    [...file.scan.code.matchAll(pattern)].map(
      match => `${file.path}:${lineAt(file.text, match.index)}: ${say(match[0].trim())}`,
    ),
  )
}

/** The production files of a package. */
export function production(files: readonly SourceFile[], packageName: string): SourceFile[] {
  return files.filter(file => file.isProduction && file.packageName === packageName)
}

/** The production files of the broker's core. */
export function coreFiles(files: readonly SourceFile[]): SourceFile[] {
  return production(files, 'broker').filter(file => file.path.includes('/src/core/'))
}

function identifiers(names: readonly string[]): RegExp {
  const alternatives = names.map(name => name.replace('.', '\\.')).join('|')
  return new RegExp(`(?<![\\w$.#])(?:${alternatives})(?![\\w$]|\\??:)`, 'g')
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith('.')
}

function isPackage(specifier: string, name: string): boolean {
  return specifier === name || specifier.startsWith(`${name}/`)
}

function isOwn(specifier: string): boolean {
  return specifier.startsWith('@godwit/') || isPackage(specifier, 'godwit')
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function resolved(file: SourceFile, specifier: string): string {
  return posix.join(posix.dirname(file.path), specifier)
}

function shellOf(path: string): string {
  const folder = /^packages\/broker\/src\/([^/]+)\//.exec(path)?.[1] ?? ''
  return SHELL_FOLDERS.includes(folder) ? folder : ''
}

// scripts/ may load what test/ has compiled: neither is shipped.
function rootOf(path: string): string {
  const folder = /^(?:packages\/[^/]+|[^/]+)/.exec(path)?.[0] ?? ''
  return folder === 'scripts' ? 'test' : folder
}

function valueTarget(
  file: SourceFile,
  edge: Import,
  byPath: ReadonlyMap<string, SourceFile>,
): SourceFile | undefined {
  if (edge.typeOnly || !isRelative(edge.specifier)) return undefined
  return byPath.get(resolved(file, edge.specifier))
}

function cycleText(paths: readonly string[], line: number): string {
  return `${paths[paths.length - 1]}:${line}: cycle ${[...paths, paths[0]].join(' -> ')}`
}
