// How `godwit check` tells what it has found: for people, and as JSON.

import { paint } from '../output/paint.ts'
import type { Finding, Limit } from './probe.ts'

/** All of one run. */
export interface CheckReport {
  readonly broker: string
  readonly user: string | null
  readonly versions: readonly Finding[]
  readonly features: readonly Finding[]
  readonly limits: readonly Limit[]
}

const COLUMN = 42

/** Whether not even a message of QoS 0 came back: then permissions are all that was found. */
function isShutOut({ features }: CheckReport): boolean {
  return features.some(({ id, works }) => id === 'qos0' && works === false)
}

/** Where CONNACK and the broker's behaviour differ. */
export function contradictions(report: CheckReport): Finding[] {
  const { features } = report
  if (isShutOut(report)) return []
  return features.filter(({ works, declared }) => {
    return works !== null && declared !== null && works !== declared
  })
}

export function reportText(report: CheckReport): string {
  const wrong = contradictions(report)
  const anonymous = report.user === null ? '  (without a user name)' : `  (as ${report.user})`
  const lines = [
    `${paint.bold(report.broker)}${paint.dim(anonymous)}`,
    '',
    paint.bold('Versions'),
    ...report.versions.map(findingLine),
    '',
    paint.bold('Features, tried'),
    ...report.features.map(findingLine),
    '',
    paint.bold('Limits'),
    ...report.limits.map(limitLine),
  ]
  if (isShutOut(report)) {
    lines.push(
      '',
      paint.yellow('Nothing comes back: may this user use topics below godwit-check/?'),
    )
  }
  if (wrong.length > 0) {
    lines.push('', paint.bold('What CONNACK says and what happens differ'))
    for (const { name, declared } of wrong) {
      const said = declared
        ? 'it is said to work, and does not'
        : 'it is said not to work, and does'
      lines.push(`  ${paint.yellow(name)}: ${said}`)
    }
  }
  return `${lines.join('\n')}\n`
}

export function reportJson(report: CheckReport): string {
  const byId = (findings: readonly Finding[]): Record<string, unknown> =>
    Object.fromEntries(
      findings.map(({ id, works, declared, detail }) => [
        id,
        { works, ...(declared === null ? {} : { declared }), ...(detail === '' ? {} : { detail }) },
      ]),
    )
  const { broker, user, versions, features, limits } = report
  const all = {
    broker,
    user,
    versions: byId(versions),
    features: byId(features),
    limits: Object.fromEntries(limits.map(({ id, value }) => [id, value])),
    contradictions: contradictions(report).map(({ id }) => id),
  }
  return `${JSON.stringify(all, null, 2)}\n`
}

function findingLine({ name, works, detail }: Finding): string {
  const answer = works === null ? paint.dim('?  ') : works ? paint.green('yes') : paint.red('no ')
  const more = detail === '' ? '' : `  ${paint.dim(detail)}`
  return `  ${name.padEnd(COLUMN)}${answer}${more}`
}

function limitLine({ name, value, detail }: Limit): string {
  const text = value === null ? paint.dim(detail || '-') : String(value)
  const more = value === null || detail === '' ? '' : ` ${paint.dim(detail)}`
  return `  ${name.padEnd(COLUMN)}${text}${more}`
}
