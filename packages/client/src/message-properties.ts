// The properties of a message: the names that applications use, as the codec takes them.

import type { Properties } from '@godwit/packet'
import type { MessageProperties } from './options.ts'

/** The properties of a message as the codec takes them, null when there are none. Not checked. */
export function readMessageProperties(options: MessageProperties): Properties | null {
  const found: Record<string, unknown> = {}
  let some = false
  for (const [name, property] of MessagePropertyNames) {
    const value = options[name]
    if (value === undefined) continue
    found[property] = name === 'utf8' ? (value ? 1 : 0) : value
    some = true
  }
  return some ? found : null
}

const MessagePropertyNames: readonly (readonly [keyof MessageProperties, keyof Properties])[] = [
  ['messageExpirySeconds', 'messageExpiryInterval'],
  ['contentType', 'contentType'],
  ['responseTopic', 'responseTopic'],
  ['correlationData', 'correlationData'],
  ['userProperties', 'userProperties'],
  ['utf8', 'payloadFormatIndicator'],
]
