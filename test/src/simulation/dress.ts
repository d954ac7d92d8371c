// The properties of a message that a broker hands on as they are: MQTT 5.0 sections 3.3.2.3.2 to
// 3.3.2.3.7 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18]
// [MQTT-3.3.2-20], and those of a will.

import { encodeUtf8, NO_PROPERTIES, type Properties } from '@godwit/packet'
import type { SeededRandom } from './world/random.ts'

/** Some of them, or none. */
export function dressOf(random: SeededRandom): Properties {
  if (!random.chance(0.2)) return NO_PROPERTIES
  const maybe = (properties: Properties): Properties =>
    random.chance(0.5) ? properties : NO_PROPERTIES
  const pair: readonly [string, string] = ['seed', String(random.below(1000))]
  return {
    ...maybe({ payloadFormatIndicator: 1 }),
    ...maybe({ contentType: 'text/plain' }),
    ...maybe({ responseTopic: 'answers/here' }),
    ...maybe({ correlationData: encodeUtf8(String(random.below(1000))) }),
    ...maybe({ userProperties: [pair, pair, ['', 'in this order']] }),
  }
}

/** All of them as one text; '' for none. */
export function dressText(properties: Properties): string {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } =
    properties
  const all = [
    payloadFormatIndicator,
    contentType,
    responseTopic,
    correlationData?.join(' '),
    userProperties?.map(([name, value]) => `${name}=${value}`).join('&'),
  ]
  return all.every(each => each === undefined) ? '' : all.map(each => each ?? '-').join(', ')
}
