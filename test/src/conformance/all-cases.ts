// All cases of the suite.

import type { Case } from './case.ts'
import { CONNECT } from './cases/connect.ts'
import { ERRORS } from './cases/errors.ts'
import { FORMAT } from './cases/format.ts'
import { LIMITS } from './cases/limits.ts'
import { MQTT_31 } from './cases/mqtt31.ts'
import { PUBLISH } from './cases/publish.ts'
import { QOS } from './cases/qos.ts'
import { SESSIONS } from './cases/sessions.ts'
import { SHARED } from './cases/shared.ts'
import { SUBSCRIBING } from './cases/subscribing.ts'
import { WILLS } from './cases/wills.ts'

export const ALL_CASES: readonly Case[] = [
  ...FORMAT,
  ...CONNECT,
  ...SESSIONS,
  ...WILLS,
  ...PUBLISH,
  ...QOS,
  ...SUBSCRIBING,
  ...LIMITS,
  ...SHARED,
  ...ERRORS,
  ...MQTT_31,
]
