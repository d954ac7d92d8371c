// Whether a configuration file is Mosquitto's or YAML. One rule, by name and first line.

import { optionOf } from './options.ts'

const YAML_NAME = /\.(?:ya?ml|json)$/i
const MOSQUITTO_NAME = /\.conf$/i
/** A field, a document's begin, a flow map, a list or a directive. */
const YAML_LINE = /^\s*(?:["']?[\w.-]+["']?\s*:(?:\s|$)|---|[{[%]|-\s)/

/**
 * A name that ends in .yaml, .yml or .json is YAML. Else the first line that is neither empty nor a
 * comment decides: `field:` is YAML, an option of Mosquitto and its value are Mosquitto's. Where
 * that does not tell, a name that ends in .conf is Mosquitto's.
 */
export function isMosquittoConf(text: string, path: string): boolean {
  if (YAML_NAME.test(path)) return false
  const first = text.split('\n').find(line => line.trim() !== '' && !line.trim().startsWith('#'))
  if (first === undefined) return MOSQUITTO_NAME.test(path)
  if (YAML_LINE.test(first)) return false
  if (MOSQUITTO_NAME.test(path)) return true
  const [, name = ''] = /^ *(\S+)[ \t]+\S/.exec(first) ?? []
  return optionOf(name) !== null
}
