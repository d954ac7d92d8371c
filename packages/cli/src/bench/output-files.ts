// The files of a result: JSON, CSV, the log of histograms, the page with charts. Reading one back.

import { readFileSync, writeFileSync } from 'node:fs'
import { CommandFailure, usage } from '../failure.ts'
import { histogramLog } from './histogram.ts'
import { resultPage } from './report-html.ts'
import { RESULT_FORMAT, RESULT_VERSION, type RunResult } from './result.ts'
import type { OutputSettings } from './settings.ts'

const FAILED = 1

const CSV_HEAD = [
  ...['trial', 'from_s', 'to_s', 'warmup', 'connections', 'sent', 'acked', 'received'],
  ...['received_per_s', 'p50_us', 'p99_us', 'max_us', 'loop_delay_ms'],
].join(',')

/** @returns the names of the files that were written @throws CommandFailure */
export function writeOutputs(result: RunResult, output: OutputSettings): Promise<string[]> {
  return writeFiles([
    [output.json, () => `${JSON.stringify(result, null, 2)}\n`],
    [output.csv, () => csvOf(result)],
    [output.hdr, () => hdrOf(result)],
    [output.html, () => resultPage(result)],
  ])
}

/**
 * Writes all that can be written: one that fails costs none of the others.
 * @returns their names
 * @throws CommandFailure that names those that failed
 */
export async function writeFiles(
  files: readonly (readonly [path: string | null, make: () => string | Promise<string>])[],
): Promise<string[]> {
  const written: string[] = []
  const failures: string[] = []
  for (const [path, make] of files) {
    if (path === null) continue
    try {
      writeFileSync(path, await make())
      written.push(path)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      failures.push(`${path} cannot be written (${code ?? message})`)
    }
  }
  if (failures.length === 0) return written
  const others = written.length === 0 ? '' : `; written: ${written.join(' ')}`
  throw new CommandFailure(`${failures.join(', ')}${others}`, FAILED)
}

/** One line per second of each trial. */
export function csvOf(result: RunResult): string {
  const lines = result.trials.flatMap((trial, index) =>
    trial.intervals.map(one => {
      const seconds = one.toSeconds - one.fromSeconds
      const row = [
        index + 1,
        one.fromSeconds.toFixed(3),
        one.toSeconds.toFixed(3),
        one.isWarmup ? 1 : 0,
        one.connections,
        one.sent,
        one.acked,
        one.received,
        (one.received / seconds).toFixed(1),
        one.p50 ?? '',
        one.p99 ?? '',
        one.max ?? '',
        one.loopDelayMs.toFixed(3),
      ]
      return row.join(',')
    }),
  )
  return `${[CSV_HEAD, ...lines].join('\n')}\n`
}

/** All trials, one after the other, tagged by what was measured. */
export function hdrOf(result: RunResult): Promise<string> {
  const startMs = Date.parse(result.startedAt)
  let offsetMs = startMs
  const intervals: { tag: string; fromMs: number; toMs: number; encoded: string }[] = []
  for (const trial of result.trials) {
    for (const one of trial.intervals) {
      for (const tag of ['response', 'service', 'ack'] as const) {
        const fromMs = offsetMs + one.fromSeconds * 1e3
        const toMs = offsetMs + one.toSeconds * 1e3
        intervals.push({ tag, fromMs, toMs, encoded: one.encoded[tag] ?? '' })
      }
    }
    offsetMs += (trial.intervals.at(-1)?.toSeconds ?? 0) * 1e3
  }
  return histogramLog(`${result.title} (microseconds)`, startMs, intervals)
}

/** @throws CommandFailure when it is not a result of the testers */
export function readResult(path: string): RunResult {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    return usage(`${path}: ${(error as Error).message}`)
  }
  const result = parsed as Partial<RunResult> | null
  if (typeof result !== 'object' || result?.format !== RESULT_FORMAT) {
    usage(`${path} is no result of godwit bench: write one with --output`)
  }
  if (result.version !== RESULT_VERSION) {
    usage(`${path} has version ${result.version} of the format, expected ${RESULT_VERSION}`)
  }
  if (!Array.isArray(result.trials)) usage(`${path} has no trials`)
  return restored(result as RunResult)
}

/** JSON has no NaN: what was not measured is null. Older results have fewer. */
function restored(result: RunResult): RunResult {
  for (const trial of result.trials) {
    for (const name of ['damaged', 'otherQoS'] as const) {
      if (trial.delivery[name] === undefined) Reflect.set(trial.delivery, name, 0)
    }
    if (trial.counts.compared === undefined) Reflect.set(trial.counts, 'compared', 0)
    for (const latency of Object.values(trial.latencies)) {
      for (const [name, value] of Object.entries(latency.summary)) {
        if (value === null) Reflect.set(latency.summary, name, Number.NaN)
      }
    }
  }
  return result
}
