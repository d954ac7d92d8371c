// The fields of the configuration file and what each may be. What is wrong with one is said in our
// own words: what was expected, and what came.

import { DEFAULT_LIMITS } from '@godwit/broker'
import * as z from 'zod'
import type { ConfigFields } from './config.ts'
import { LOG_LEVELS } from './log-levels.ts'
import { nearest } from './nearest.ts'

const Certificates = z.strictObject({
  certFile: z.string(),
  keyFile: z.string(),
  passphrase: z.string().optional(),
  caFile: z.string().optional(),
  caDirectory: z.string().optional(),
  crlFile: z.string().optional(),
  clientCertificate: z.enum(['none', 'optional', 'required']).optional(),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).optional(),
  ciphers: z.string().optional(),
})

const WebSocketChoice = z.strictObject({
  path: z
    .string()
    .regex(/^(?:\/|\*$)/)
    .optional(),
  origins: z.array(z.string()).optional(),
})

const UnixChoice = z.strictObject({
  path: z.string(),
  /** YAML 1.2 reads 0660 as a decimal number: octal is 0o660. */
  mode: z.number().int().optional(),
})

/** Who may come in and do what: for all, or for a listener. */
const Access = {
  passwordFile: z.string().min(1).optional(),
  allowAnonymous: z.boolean().optional(),
  aclFile: z.string().min(1).optional(),
  certificateUserNames: z.union([z.boolean(), z.literal('subject')]).optional(),
}

const Listener = z.strictObject({
  name: z.string().optional(),
  host: z.string().optional(),
  ipv6Only: z.boolean().optional(),
  port: z.number().int().min(0).max(65_535).optional(),
  tls: Certificates.optional(),
  ws: z.union([z.boolean(), WebSocketChoice]).optional(),
  unix: z.union([z.string(), UnixChoice]).optional(),
  proxyProtocol: z
    .union([z.boolean(), z.strictObject({ trustCertificate: z.boolean().optional() })])
    .optional(),
  backlog: z.number().int().min(1).optional(),
  connectionsMax: z.number().int().min(1).optional(),
  ...Access,
})

/** Each limit has the type of its default; its range is checked by the broker. */
const Limits = z.strictObject(
  Object.fromEntries(
    Object.entries(DEFAULT_LIMITS).map(([name, value]) => [
      name,
      typeof value === 'number'
        ? z.number().int().optional()
        : typeof value === 'boolean'
          ? z.boolean().optional()
          : z.enum(['drop-oldest', 'refuse']).optional(),
    ]),
  ),
)

const Config = z.strictObject({
  listeners: z.array(Listener).optional(),
  data: z.string().min(1).optional(),
  metrics: z
    .strictObject({
      port: z.number().int().min(0).max(65_535),
      host: z.string().min(1).optional(),
    })
    .optional(),
  statsIntervalSeconds: z.number().int().min(0).optional(),
  nodeName: z.string().min(1).optional(),
  responseTopicPrefix: z.string().min(1).optional(),
  dump: z.boolean().optional(),
  drainSeconds: z.number().min(0).optional(),
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).optional(),
      format: z.enum(['auto', 'pretty', 'json']).optional(),
      to: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).optional(),
      connections: z.boolean().optional(),
    })
    .optional(),
  scram: z
    .strictObject({
      users: z.record(z.string(), z.string()),
      iterations: z.number().int().min(4096).optional(),
    })
    .optional(),
  limits: Limits.optional(),
  ...Access,
  clientIdPrefix: z.string().min(1).optional(),
  assignedClientIdPrefix: z.string().optional(),
  allowEmptyClientId: z.boolean().optional(),
  payloadBytesMax: z.number().int().min(1).optional(),
  pidFile: z.string().min(1).optional(),
  user: z.string().min(1).optional(),
})

/** The names at the top of the file. */
export const CONFIG_FIELDS: readonly string[] = Object.keys(Config.shape)

export interface Problem {
  /** Where the field is; the empty path is the whole file. */
  readonly path: readonly (string | number)[]
  readonly text: string
}

/** @param raw what YAML has read @returns the fields, or null and all that is wrong with them */
export function readFields(raw: unknown): {
  readonly fields: ConfigFields | null
  readonly problems: readonly Problem[]
} {
  const parsed = Config.safeParse(raw)
  if (parsed.success) return { fields: parsed.data, problems: [] }
  const problems = parsed.error.issues.flatMap(issue => problemsOf(issue, [], raw))
  return { fields: null, problems }
}

function problemsOf(
  issue: z.core.$ZodIssue,
  above: readonly (string | number)[],
  raw: unknown,
): Problem[] {
  const path = [...above, ...issue.path.map(step => (typeof step === 'symbol' ? '?' : step))]
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt(path)
    return issue.keys.map(key => ({ path: [...path, key], text: unknownField(key, known) }))
  }
  if (issue.code === 'invalid_union') {
    // What went wrong inside of one of the kinds is what was meant.
    const inner = issue.errors.find(errors =>
      errors.every(each => each.path.length > 0 || each.code === 'unrecognized_keys'),
    )
    if (inner !== undefined) return inner.flatMap(each => problemsOf(each, path, raw))
  }
  const value = valueAt(raw, path)
  const expected = expectedBy(issue)
  if (value === undefined) return [{ path, text: `it is missing: expected ${expected}` }]
  return [{ path, text: `expected ${expected}, got ${show(value)}` }]
}

function unknownField(key: string, known: readonly string[]): string {
  const meant = nearest(key, known)
  return `there is no such field${meant === null ? '' : `; was ${meant} meant?`}`
}

const TypeTexts: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
}

function expectedBy(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TypeTexts[issue.expected] ?? issue.expected
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`
    case 'too_small':
      if (issue.origin === 'string') return 'a text that is not empty'
      return `a number, at least ${issue.minimum}`
    case 'too_big':
      return `a number, at most ${issue.maximum}`
    case 'invalid_union': {
      const kinds = issue.errors.flatMap(errors => errors.map(expectedBy))
      return [...new Set(kinds)].join(' or ')
    }
    case 'invalid_format':
      return issue.format === 'regex'
        ? 'a text that begins with /, or *'
        : `a text: ${issue.message}`
    default:
      return issue.message
  }
}

/** The names of the fields that may stand at a path. */
function fieldsAt(path: readonly (string | number)[]): string[] {
  let schemas: unknown[] = [Config]
  for (const step of path) {
    schemas = schemas.flatMap(unwrapped).flatMap(schema => {
      if (schema instanceof z.ZodArray) return [schema.element]
      if (schema instanceof z.ZodObject) return [(schema.shape as Record<string, unknown>)[step]]
      return []
    })
  }
  return schemas
    .flatMap(unwrapped)
    .flatMap(schema => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []))
}

/** What an optional field or one of several kinds may be. */
function unwrapped(schema: unknown): unknown[] {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema
  return inner instanceof z.ZodUnion ? [...inner.options] : [inner]
}

function valueAt(raw: unknown, path: readonly (string | number)[]): unknown {
  let value = raw
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Readonly<Record<string, unknown>>)[step]
  }
  return value
}

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
