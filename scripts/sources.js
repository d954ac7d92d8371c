// Where the sources and their compiled files are: one list that the scripts share.
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository, without a slash at its end. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')

/**
 * The projects that `tsc -b` compiles from src to dist, as paths below the root.
 * @returns {string[]}
 */
export function projects() {
  const packages = readdirSync(join(ROOT, 'packages')).map(name => join('packages', name))
  return [...packages, 'test', 'bench'].filter(path => existsSync(join(ROOT, path, 'src')))
}

/**
 * Every file below a folder, as paths below the root; nothing when the folder is missing.
 * @param {string} folder
 * @returns {string[]}
 */
export function filesBelow(folder) {
  const absolute = join(ROOT, folder)
  if (!existsSync(absolute)) return []
  const entries = readdirSync(absolute, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
    .sort()
}

/**
 * The source that a compiled file was made from, or undefined for a file that tsc did not make.
 * @param {string} compiled a path below the root
 * @returns {string | undefined}
 */
export function sourceOf(compiled) {
  const match = /^(.*?)[/\\]dist[/\\](.*?)(?:\.js|\.d\.ts)$/.exec(compiled)
  return match ? `${match[1]}${sep}src${sep}${match[2]}.ts` : undefined
}

/**
 * Compiled files whose source is gone: they must neither run nor be packed.
 * @returns {string[]}
 */
export function staleFiles() {
  return projects()
    .flatMap(project => filesBelow(join(project, 'dist')))
    .filter(path => {
      const source = sourceOf(path)
      return source !== undefined && !existsSync(join(ROOT, source))
    })
}
