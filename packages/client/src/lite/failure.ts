// Errors whose code says it all: a text of its own for each would cost bytes.

import type { Properties } from '@godwit/packet'
import { MqttError, type MqttErrorCode, type MqttErrorDetails, reasonText } from '../errors.ts'

/** An error whose text is its code. */
export function failure(code: MqttErrorCode, details?: MqttErrorDetails): MqttError {
  return new MqttError(code, code, details)
}

/** An error that the server has told, with its reason. */
export function refusal(
  code: MqttErrorCode,
  reasonCode: number,
  properties: Properties,
): MqttError {
  const text = `${code}: ${properties.reasonString ?? reasonText(reasonCode)}`
  return new MqttError(code, text, { ...properties, reasonCode })
}
