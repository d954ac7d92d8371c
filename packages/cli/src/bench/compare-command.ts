// `godwit bench compare`: reads two results, prints the comparison, writes its page.

import { usage } from '../failure.ts'
import {
  type Comparison,
  compareResults,
  comparisonLines,
  comparisonRows,
  exceeded,
  parseChangeLimit,
} from './compare.ts'
import { isSet, type ParsedFlags, text, texts } from './flags.ts'
import { outputSettings } from './options.ts'
import { readResult, writeFiles } from './output-files.ts'
import { painted } from './painted.ts'
import { parseShare } from './quantities.ts'
import { type ChartData, chartBox, escaped, page } from './report-html.ts'
import { metricOf, type RunResult } from './result.ts'

const SLO_MISSED = 4

/** @returns the exit code */
export async function compareCommand({ values, words }: ParsedFlags): Promise<number> {
  const [left, right] = words
  if (left === undefined || right === undefined || words.length > 2) {
    usage('bench compare takes two results: before.json after.json')
  }
  const { html } = outputSettings(values)
  const threshold = parseShare('--threshold', text(values, 'threshold') ?? '5%')
  const limits = texts(values, 'fail-on').map(limit => parseChangeLimit('--fail-on', limit))
  const comparison = compareResults(readResult(left), readResult(right), threshold, limits)
  const failures = exceeded(comparison, limits)
  if (isSet(values, 'json')) {
    const { metrics, differences } = comparison
    console.log(JSON.stringify({ threshold, metrics, differences, failures }, null, 2))
  } else {
    const failed = failures.map(failure => `FAIL        ${failure}`)
    console.log(painted([...comparisonLines(comparison), ...failed]))
  }
  // Whatever becomes of the file.
  await writeFiles([[html, () => comparisonPage(comparison)]])
  return failures.length > 0 ? SLO_MISSED : 0
}

const Classes: Readonly<Record<string, string>> = { better: 'best', WORSE: 'bad' }

function comparisonPage(comparison: Comparison): string {
  const { before, after, differences } = comparison
  const head = ['metric', 'before', 'after', 'change', '95 % confidence', 'verdict']
  const rows = comparisonRows(comparison).map(cells => {
    const state = Classes[cells.at(-1) ?? ''] ?? ''
    const marked = (i: number): string => (i === cells.length - 1 ? ` class="${state}"` : '')
    return `<tr>${cells.map((cell, i) => `<td${marked(i)}>${escaped(cell)}</td>`).join('')}</tr>`
  })
  const notSame = differences.map(text => `<li>not the same: ${escaped(text)}</li>`)
  const charts = [chartOf(comparison, 'rate.received'), chartOf(comparison, 'response.p99')]
  const body = `
<header><h1>Before and after</h1>
<p>${escaped(comparisonLines(comparison).at(-1) ?? '')}</p></header>
<section><dl><dt>Before</dt><dd>${about(before)}</dd><dt>After</dt><dd>${about(after)}</dd></dl>
${differences.length === 0 ? '' : `<ul class="notes">${notSame.join('')}</ul>`}
<div class="charts">${charts.map(({ id }) => chartBox(id)).join('')}</div>
<div class="scroll"><table><thead><tr>${head.map(cell => `<th>${cell}</th>`).join('')}</tr></thead>
<tbody>${rows.join('')}</tbody></table></div></section>`
  return page('godwit bench compare', body, charts)
}

function about({ title, startedAt }: RunResult): string {
  return escaped([...title.split(/\s{2,}/), startedAt].join(' \u00b7 '))
}

/** Each trial is a point: the eye sees the spread. */
function chartOf({ before, after }: Comparison, name: string): ChartData {
  const count = Math.max(before.trials.length, after.trials.length)
  const valuesOf = (result: typeof before): (number | null)[] =>
    Array.from({ length: count }, (_, i) => {
      const trial = result.trials[i]
      return trial === undefined ? null : metricOf(trial, name)
    })
  const isRate = name.startsWith('rate')
  return {
    id: name.replaceAll('.', '-'),
    title: isRate ? 'Messages received per second, by trial' : 'Response p99, by trial',
    kind: 'trials',
    unit: isRate ? 'rate' : 'us',
    x: Array.from({ length: count }, (_, i) => i + 1),
    series: [
      { label: 'before', y: valuesOf(before) },
      { label: 'after', y: valuesOf(after) },
    ],
  }
}
