// A run of `ping` or `load`: trials, goals, the search for the capacity, the exit code. It prints
// what happens; reports are written elsewhere.

import { cpus, type as systemType, version as systemVersion, totalmem } from 'node:os'
import type { Properties } from '@godwit/packet'
import { VERSION } from '../version.ts'
import { askVersion, factsOf, unknownHost, urlOf } from './broker-facts.ts'
import { findCapacity } from './capacity.ts'
import { RunFailure, runTrial, type TrialWatcher } from './coordinator.ts'
import { manyLines } from './many-text.ts'
import { formatBytes, formatRate } from './numbers.ts'
import { rateOf } from './pacing.ts'
import { intervalText, type Progress } from './progress.ts'
import { capacityLines, connectLine, line, stepLine, trialLines } from './report-text.ts'
import {
  type CapacityResult,
  type HostFacts,
  RESULT_FORMAT,
  RESULT_VERSION,
  type RunResult,
  type TrialResult,
} from './result.ts'
import type { ConnectionSettings, LoadSettings } from './settings.ts'
import type { Slo } from './slo.ts'

/** 0 all well, 1 delivery broken, 3 could not connect, 4 goal missed, 5 tester saturated. */
export const ExitCode = {
  OK: 0,
  BROKEN: 1,
  USAGE: 2,
  NOT_CONNECTED: 3,
  SLO_MISSED: 4,
  SATURATED: 5,
  INTERRUPTED: 130,
} as const

/** How to look for the highest rate that meets a goal. */
export interface CapacityGoal {
  readonly slo: Slo
  readonly stepMs: number
}

export interface RunOutcome {
  readonly result: RunResult
  /** The report as text. */
  readonly lines: readonly string[]
}

/** @throws RunFailure when there was nothing to measure */
export async function runLoad(
  settings: LoadSettings,
  goal: CapacityGoal | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const startedAt = new Date().toISOString()
  const title = titleOf(settings, goal)
  progress.say(title)
  await checkHosts(settings.connection)
  const version = await askVersion(settings.connection)
  let connack: Properties = {}
  const watcher = watcherOf(settings, version, goal !== null, progress, properties => {
    connack = properties
  })
  const trials: TrialResult[] = []
  let capacity: CapacityResult | null = null
  if (goal !== null) {
    const found = await findCapacity(
      settings,
      goal,
      step => runTrial(step, watcher, signal),
      signal,
      step => {
        progress.end()
        progress.say(stepLine(step))
      },
    )
    capacity = found.capacity
    trials.push(...found.trials)
  } else {
    for (let i = 0; i < settings.trials && !signal.aborted; i++) {
      if (settings.trials > 1) progress.say(line(`trial ${i + 1}/${settings.trials}`, ''))
      const trial = await runTrial(settings, watcher, signal)
      // Ctrl-C between two trials leaves nothing of the second.
      const isEmpty = trial.wasInterrupted && trial.counts.sent === 0
      if (!isEmpty || trials.length === 0) trials.push(trial)
      progress.end()
    }
  }
  progress.end()
  const result: RunResult = {
    format: RESULT_FORMAT,
    version: RESULT_VERSION,
    kind: settings.kind,
    title,
    startedAt,
    commandLine: settings.commandLine,
    config: configOf(settings),
    isOpenLoop: settings.arrivals !== null || goal !== null,
    seed: settings.seed,
    host: hostFacts(),
    broker: factsOf(settings.connection, connack, version),
    trials,
    capacity,
    exitCode: exitCodeOf(trials, settings, capacity),
  }
  return { result, lines: linesOf(result) }
}

/** @throws RunFailure */
export async function checkHosts(connection: ConnectionSettings): Promise<void> {
  const host = await unknownHost(connection)
  if (host !== null) throw new RunFailure(`there is no host ${host}`)
}

/** The report of a result, as when it was made. */
export function linesOf(result: RunResult): string[] {
  const textOf = (trial: TrialResult, number: number): string[] =>
    result.kind === 'many' ? manyLines(trial) : trialLines(result, trial, number)
  const lines = result.trials.flatMap((trial, i) => [...textOf(trial, i + 1), ''])
  if (result.capacity !== null) lines.push(...capacityLines(result.capacity), '')
  return lines.slice(0, -1)
}

/** The worst that is true of any trial. */
export function exitCodeOf(
  trials: readonly TrialResult[],
  settings: Pick<LoadSettings, 'qos' | 'allowLoss' | 'strict'>,
  capacity: CapacityResult | null,
): number {
  // Steps beyond the capacity are meant to fail.
  if (capacity?.wasInterrupted === true) return ExitCode.INTERRUPTED
  if (capacity !== null) return capacity.found > 0 ? ExitCode.OK : ExitCode.SLO_MISSED
  if (trials.some(trial => isBroken(trial, settings))) return ExitCode.BROKEN
  if (trials.some(trial => trial.slos.some(slo => !slo.met))) return ExitCode.SLO_MISSED
  if (settings.strict && trials.some(trial => trial.tester.isSaturated)) return ExitCode.SATURATED
  return trials.some(trial => trial.wasInterrupted) ? ExitCode.INTERRUPTED : ExitCode.OK
}

/** As the Go program: a lost message is an error at every QoS, unless it is allowed at QoS 0. */
export function isBroken(
  trial: TrialResult,
  { qos, allowLoss }: { readonly qos: number; readonly allowLoss: boolean },
): boolean {
  const { verdict, delivery, counts } = trial
  if (!verdict.contractMet || counts.brokenConnections > 0) return true
  return delivery.lost > 0 && !(qos === 0 && allowLoss)
}

export function hostFacts(): HostFacts {
  const [cpu] = cpus()
  return {
    cpus: cpus().length,
    cpuModel: cpu?.model ?? 'unknown',
    memoryBytes: totalmem(),
    system: `${systemType()} ${systemVersion()}`,
    node: process.version,
    godwit: VERSION,
  }
}

function watcherOf(
  settings: LoadSettings,
  version: string | null,
  isSearch: boolean,
  progress: Progress,
  onConnack: (connack: Properties) => void,
): TrialWatcher {
  let now = settings
  let isTimed = false
  let isFirst = true
  return {
    // Each rate of a search has settings of its own.
    connecting: of => {
      now = of
      isTimed = of.durationMs > 0
    },
    connected: (connect, connack) => {
      onConnack(connack)
      if (isFirst) progress.say(brokerLine(version, connack))
      if (isFirst || !isSearch) progress.say(connectLine(connect, null))
      isFirst = false
      const total = isTimed ? (now.durationMs + now.warmupMs) / 1e3 : now.messages * now.publishers
      progress.begin(total, isTimed ? 'seconds' : 'messages')
    },
    interval: (interval, total) => {
      progress.update(isTimed ? interval.toSeconds : total.sent, intervalText(interval, total))
    },
    settled: () => undefined,
    draining: missing => progress.update(Number.POSITIVE_INFINITY, `${missing} still to arrive`),
  }
}

function brokerLine(version: string | null, connack: Properties): string {
  const { receiveMaximum, maximumQoS, topicAliasMaximum, maximumPacketSize } = connack
  const facts = [
    version ?? 'says nothing of itself',
    ...(receiveMaximum === undefined ? [] : [`receive maximum ${receiveMaximum}`]),
    ...(maximumQoS === undefined ? [] : [`maximum QoS ${maximumQoS}`]),
    ...(topicAliasMaximum === undefined ? [] : [`topic alias maximum ${topicAliasMaximum}`]),
    ...(maximumPacketSize === undefined ? [] : [`packets up to ${formatBytes(maximumPacketSize)}`]),
  ]
  return line('broker', facts.join('  '))
}

const LevelNames = { 3: 'MQTT 3.1', 4: 'MQTT 3.1.1', 5: 'MQTT 5' } as const

function titleOf(settings: LoadSettings, goal: CapacityGoal | null): string {
  const { kind, publishers, subscribers, shape, qos, payload, arrivals, seed } = settings
  const who =
    kind === 'ping'
      ? `${publishers} pairs  ${subscribers} wildcard subscribers`
      : `${publishers} publishers -> ${subscribers} subscribers ${shape}`
  const size =
    payload.kind === 'size'
      ? payload.bytesMin === payload.bytesMax
        ? `${payload.bytesMin} B`
        : `${payload.bytesMin}-${payload.bytesMax} B`
      : payload.kind
  const loop =
    goal !== null
      ? `the highest rate with ${goal.slo.text}`
      : settings.retainedMessages > 0
        ? `${settings.retainedMessages} retained messages`
        : arrivals === null
          ? 'closed loop'
          : `open loop ${formatRate(rateOf(arrivals))}/s ${arrivals.kind}`
  const times =
    goal !== null
      ? `${goal.stepMs / 1e3} s per rate`
      : settings.durationMs > 0
        ? `${settings.durationMs / 1e3} s after ${settings.warmupMs / 1e3} s warm-up`
        : `${settings.messages} messages each`
  const target = settings.connection.targets.map(urlOf).join(' ')
  const level = LevelNames[settings.connection.level]
  const parts = [target, level, `QoS ${qos}`, who, size, loop, times, `seed ${seed}`]
  return line(`bench ${kind}`, parts.join('  '))
}

/** The settings for a report: no secrets, no contents of files. */
export function configOf(settings: LoadSettings): Record<string, unknown> {
  const { connection, output: _output, payload, slos, ...rest } = settings
  const { username: _username, password: _password, tls, targets, ...reachable } = connection
  return {
    ...rest,
    payload: payload.kind === 'bytes' ? { kind: 'bytes', length: payload.bytes.length } : payload,
    slos: slos.map(slo => slo.text),
    connection: { ...reachable, targets: targets.map(urlOf), tls: tls !== null },
  }
}
