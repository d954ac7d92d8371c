// The command `godwit check`: finds out what a broker supports by using it, and compares that with
// what it says in CONNACK. It publishes below godwit-check/ and leaves nothing behind.

import { randomBytes } from 'node:crypto'
import { ConnectionRefusedError, MqttError } from '@godwit/client'
import { encodeUtf8, type ProtocolLevel } from '@godwit/packet'
import { CommonProbes, V5Probes } from '../check/features.ts'
import { declaredLimits, measuredLimits } from '../check/limits.ts'
import { type Finding, Probing } from '../check/probe.ts'
import { type CheckReport, reportJson, reportText } from '../check/report.ts'
import { placeOf } from '../network/dial.ts'
import { ExitCode, report, sayer } from '../network/ending.ts'
import { linkError } from '../network/link.ts'
import { fetchPassword } from '../network/password.ts'
import { wantsTls } from '../network/tls-settings.ts'
import { webSocketUrl } from '../network/web-socket.ts'
import type { ClientChoice } from '../options/choice.ts'
import { outputStream } from '../output/streams.ts'

const DEFAULT_TIMEOUT_SECONDS = 5
const Versions: readonly (readonly [level: ProtocolLevel, name: string])[] = [
  [5, 'MQTT 5.0'],
  [4, 'MQTT 3.1.1'],
  [3, 'MQTT 3.1'],
]

/** @returns the exit code: 0, or that of CONNACK or 1 when no version could connect */
export async function check(choice: ClientChoice): Promise<number> {
  try {
    const found = await inspect(choice)
    outputStream().write(choice.json ? reportJson(found) : reportText(found))
    return ExitCode.OK
  } catch (error) {
    return report(error, choice, sayer(choice))
  }
}

/** @throws LinkError when no version could connect, or the broker has gone meanwhile */
export async function inspect(choice: ClientChoice): Promise<CheckReport> {
  const { passwordPlace } = choice
  const given = choice.password === null ? null : encodeUtf8(choice.password)
  const password = passwordPlace === null ? given : await fetchPassword(passwordPlace)
  const run = randomBytes(4).toString('hex')
  const timeoutMs = (choice.timeoutSeconds || DEFAULT_TIMEOUT_SECONDS) * 1000
  const probingAt = (level: ProtocolLevel): Probing =>
    new Probing(choice, level, password, run, timeoutMs)
  const versions: Finding[] = []
  let best: ProtocolLevel | null = null
  let first: unknown = null
  for (const [level, name] of Versions) {
    const error = await tryVersion(probingAt(level))
    if (error === null) best ??= level
    else first ??= error
    const detail = error?.message ?? ''
    versions.push({ id: name, name, works: error === null, declared: null, detail })
  }
  if (best === null) throw linkError(choice, first)
  const probing = probingAt(best)
  try {
    const found = await probe(probing)
    return { broker: nameOf(choice), user: choice.username, versions, ...found }
  } catch (error) {
    throw linkError(choice, error)
  } finally {
    await probing.close()
  }
}

async function probe(probing: Probing): Promise<Pick<CheckReport, 'features' | 'limits'>> {
  const features: Finding[] = []
  const probes = probing.level === 5 ? [...CommonProbes, ...V5Probes] : CommonProbes
  for (const each of probes) {
    // One of its own for each: a broker may close the connection over what it does not know.
    const client = await probing.connect()
    features.push(await each(probing, client))
    await client.close()
  }
  const client = await probing.connect()
  const limits = [
    ...(await declaredLimits(probing, client)),
    ...(await measuredLimits(probing, client)),
  ]
  return { features, limits }
}

/** @returns why there is no connection of that version, or null */
async function tryVersion(probing: Probing): Promise<MqttError | null> {
  try {
    await probing.connect()
    return null
  } catch (error) {
    if (error instanceof ConnectionRefusedError || error instanceof MqttError) return error
    throw error
  } finally {
    await probing.close()
  }
}

function nameOf(choice: ClientChoice): string {
  if (choice.unix !== null) return choice.unix
  if (choice.webSocket) return webSocketUrl(choice)
  const { host, port } = placeOf(choice)
  return `mqtt${wantsTls(choice) ? 's' : ''}://${host}:${port}`
}
