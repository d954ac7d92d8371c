// `serve --config mosquitto.conf`: from the text of the file to the configuration of the broker.

import { type ConfigSource, type LoadedConfig, toConfig } from '../config.ts'
import { readFields } from '../config-schema.ts'
import { CommandFailure, USAGE } from '../failure.ts'
import { type Machine, THIS_MACHINE } from './listeners.ts'
import { collectSettings } from './settings.ts'
import { type Place, type Problem, readStatements, showPlace } from './statements.ts'
import { checkDestinations, translate } from './translate.ts'

/** @throws CommandFailure that names all that is wrong or not there, each with file and line */
export async function loadMosquittoConf(
  text: string,
  path: string,
  machine: Machine = THIS_MACHINE,
): Promise<LoadedConfig> {
  const read = readStatements(text, path)
  const settings = collectSettings(read)
  checkDestinations(settings)
  const { fields, localListeners, places } = await translate(settings, machine)
  refuse(settings.problems)
  const checked = readFields(fields)
  if (checked.fields === null) {
    refuse(
      checked.problems.map(problem => ({
        place: placeOf(places, problem.path) ?? { file: path, line: 1 },
        text: `${problem.path.join('.')}: ${problem.text}`,
      })),
    )
    throw new TypeError('a problem without a text')
  }
  const source: ConfigSource = {
    locate: at => {
      const place = placeOf(places, at)
      return place === null ? null : showPlace(place)
    },
  }
  const config = { ...toConfig(checked.fields), localListeners }
  return { config, source, notes: settings.notes.map(show), files: read.files }
}

/** The place of a field, or of what it stands in. */
function placeOf(
  places: ReadonlyMap<string, Place>,
  path: readonly (string | number)[],
): Place | null {
  for (let length = path.length; length > 0; length--) {
    const place = places.get(path.slice(0, length).join('.'))
    if (place !== undefined) return place
  }
  return null
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return
  const lines = problems.map(show)
  throw new CommandFailure([...new Set(lines)].join('\n'), USAGE)
}

function show({ place, text }: Problem): string {
  return `${showPlace(place)}: ${text}`
}
