// The configuration file of `godwit serve`: YAML, and whatever is wrong with it is named with its
// line and its field.

import { readFileSync } from 'node:fs'
import { type Document, isMap, isNode, LineCounter, parseDocument, stringify } from 'yaml'
import { type ConfigSource, type LoadedConfig, limitErrors, toConfig } from './config.ts'
import { readFields } from './config-schema.ts'
import { CommandFailure, USAGE } from './failure.ts'
import { isMosquittoConf } from './mosquitto/recognise.ts'

/** YAML, or a mosquitto.conf. @throws CommandFailure that names all that is wrong with its line */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new CommandFailure(`the configuration cannot be read: ${(error as Error).message}`, USAGE)
  }
  if (!isMosquittoConf(text, path)) return parseConfig(text, path)
  const { loadMosquittoConf } = await import('./mosquitto/load.ts')
  return loadMosquittoConf(text, path)
}

/** Fields as such a file has them. */
export function showConfig(fields: object): string {
  return stringify(fields, { lineWidth: 0 })
}

/** @throws CommandFailure */
export function parseConfig(text: string, path: string): LoadedConfig {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    const errors = document.errors.map(({ pos, message }) => {
      return `${place(path, lines, pos[0])}: ${message}`
    })
    throw new CommandFailure(errors.join('\n'), USAGE)
  }
  const source: ConfigSource = { locate: field => locate(document, lines, path, field) }
  const raw = plainOf(document, path)
  const { fields, problems } = readFields(raw)
  if (fields !== null) return { config: toConfig(fields), source, notes: [], files: null }
  const errors = problems.map(({ path: at, text: what }) => {
    const where = source.locate(at) ?? source.locate(at.slice(0, -1)) ?? path
    return `${where}: ${fieldName(at)}: ${what}`
  })
  errors.push(...limitErrors((raw as { limits?: unknown } | null)?.limits, source))
  throw new CommandFailure(errors.join('\n'), USAGE)
}

/** @throws CommandFailure for an alias that stands for nothing, or for far too much */
function plainOf(document: Document, path: string): unknown {
  try {
    return document.toJS() ?? {}
  } catch (error) {
    throw new CommandFailure(`${path}: ${(error as Error).message}`, USAGE)
  }
}

function fieldName(path: readonly (string | number)[]): string {
  const name = path.map(step => (typeof step === 'number' ? `[${step + 1}]` : `.${step}`)).join('')
  return name.replace(/^\./, '') || 'the file'
}

/** Where the key of a field stands, or an element of a list. */
function locate(
  document: Document,
  lines: LineCounter,
  file: string,
  path: readonly (string | number)[],
): string | null {
  const last = path[path.length - 1]
  if (last === undefined) return place(file, lines, 0)
  const parent: unknown =
    path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => String(key) === String(last))
    const key: unknown = pair?.key
    return isNode(key) && key.range ? place(file, lines, key.range[0]) : null
  }
  const node: unknown = document.getIn(path, true)
  return isNode(node) && node.range ? place(file, lines, node.range[0]) : null
}

function place(file: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset)
  return `${file}:${line}:${col}`
}
