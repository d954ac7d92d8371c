// A result as one page: figures, charts, the distribution of latency. The library that draws and
// its style are inside, so the page needs no network.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { spectrumOf } from './histogram.ts'
import { answersText } from './many-text.ts'
import { formatBytes, formatCount, formatPercent, formatRate, formatUs } from './numbers.ts'
import { PAGE_SCRIPT, PAGE_STYLE } from './page-assets.ts'
import { capacityText, goalValue, latencyText } from './report-text.ts'
import type { CapacityResult, Interval, RunResult, TrialResult } from './result.ts'
import { linesOf } from './run.ts'

const INTERVAL_SECONDS_MIN = 0.5

/** A chart for the script of the page: a list for x, one for each series. */
export interface ChartData {
  readonly id: string
  readonly title: string
  readonly kind: 'time' | 'percentile' | 'bars' | 'trials'
  readonly unit: 'rate' | 'us' | 'ms' | 'count'
  readonly x: readonly (number | string)[]
  readonly series: readonly { readonly label: string; readonly y: readonly (number | null)[] }[]
  /** The measured time begins here, in x. */
  readonly measuredFrom?: number
}

export function resultPage(result: RunResult): string {
  const charts = result.trials.flatMap((trial, i) => chartsOf(result, trial, i + 1))
  const sections = result.trials.map((trial, i) => trialSection(result, trial, i + 1))
  const { host, broker } = result
  const facts = [
    ['Broker', `${broker.target}${broker.version === null ? '' : `, ${broker.version}`}`],
    ['Started', result.startedAt],
    [
      'Machine',
      `${host.cpus} x ${host.cpuModel}, ${formatBytes(host.memoryBytes)}, ${host.system}`,
    ],
    ['Tester', `godwit ${host.godwit}, Node ${host.node}, seed ${result.seed}`],
    ['Command', `godwit bench ${result.commandLine}`],
  ] as const
  const body = `
${headerOf(result)}
${result.capacity === null ? '' : capacitySection(result.capacity)}
${sections.join('\n')}
<section><h2>Conditions</h2><dl>${facts.map(fact).join('')}</dl>
<details><summary>Report as text</summary>
<pre>${escaped(linesOf(result).join('\n'))}</pre></details>
<details><summary>Settings</summary><pre>${escaped(JSON.stringify(result.config, null, 2))}</pre>
</details></section>`
  return page(`godwit bench ${result.kind}`, body, charts)
}

/** A whole page: also of the comparisons. */
export function page(title: string, body: string, charts: readonly ChartData[]): string {
  const require = createRequire(import.meta.url)
  const script = readFileSync(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8')
  const style = readFileSync(require.resolve('uplot/dist/uPlot.min.css'), 'utf8')
  // A closing tag in a string would end the script.
  const data = JSON.stringify(charts).replaceAll('<', '\\u003c')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title><style>${style}${PAGE_STYLE}</style></head>
<body>${body}
<footer>Made by godwit bench. Times are of this machine under these conditions.</footer>
<script>${script}</script>
<script>const charts = ${data};${PAGE_SCRIPT}</script>
</body></html>
`
}

export function chartBox(id: string): string {
  return `<figure class="chart" id="${id}"></figure>`
}

export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** The title is made of parts: what was run, against what, how. */
function headerOf({ title, exitCode }: RunResult): string {
  const [what = title, ...how] = title.split(/\s{2,}/)
  const parts = how.map(part => `<span>${escaped(part)}</span>`)
  return `<header><h1>${escaped(what)}</h1><p class="${exitCode === 0 ? 'good' : 'bad'}">
${exitText(exitCode)}</p><p class="how">${parts.join(' \u00b7 ')}</p>
</header>`
}

function capacitySection(capacity: CapacityResult): string {
  const rows = capacity.steps.map(({ rate, achieved, value, passed, why }) => {
    const verdict = `<td class="${passed ? 'best' : 'bad'}">${passed ? 'passed' : 'failed'}</td>`
    const cells = [
      `${formatRate(rate)}/s`,
      `${formatRate(achieved)}/s`,
      goalValue(capacity.slo, value),
    ]
    const texts = cells.map(cell => `<td>${cell}</td>`).join('')
    return `<tr>${texts}${verdict}<td class="text">${escaped(why)}</td></tr>`
  })
  const head = ['rate', 'received', escaped(capacity.slo), '', '']
  const found = capacity.found === 0 ? `no rate within ${capacity.slo}` : capacityText(capacity)
  return `<section><h2>Capacity: ${escaped(found)}</h2><p>${escaped(capacity.limit)}</p>
<div class="scroll"><table><thead><tr>${head.map(cell => `<th>${cell}</th>`).join('')}</tr></thead>
<tbody>${rows.join('')}</tbody></table></div>
${capacity.found === 0 ? '' : '<h2>At this rate</h2>'}</section>`
}

/** What somebody must know who reads the figures. */
function notesOf({ notes, tester, wasInterrupted }: TrialResult): string {
  const all = [
    ...(tester.isSaturated ? [`The tester was saturated: ${tester.reasons.join(', ')}`] : []),
    ...(wasInterrupted ? ['Interrupted: the figures are up to then'] : []),
    ...notes,
  ]
  if (all.length === 0) return ''
  return `<ul class="notes">${all.map(note => `<li>${escaped(note)}</li>`).join('')}</ul>`
}

function trialSection(result: RunResult, trial: TrialResult, number: number): string {
  const title = result.trials.length > 1 ? `<h2>Trial ${number}</h2>` : ''
  return `<section>${title}
<div class="cards">${cardsOf(result, trial).map(card).join('')}</div>
${notesOf(trial)}<div class="charts">${chartsOf(result, trial, number)
    .map(chart => chartBox(chart.id))
    .join('')}</div>
${latencyTable(result, trial)}</section>`
}

type Card = readonly [label: string, value: string, small: string, state: '' | 'good' | 'bad']

function cardsOf(result: RunResult, trial: TrialResult): Card[] {
  const { rates, tester, counts, connect } = trial
  const cards: Card[] = [
    ...(result.kind === 'many' ? sessionCards(trial) : messageCards(trial)),
    ['connected', `${connect.connected}`, `${formatRate(connect.perSecond)}/s`, ''],
    [
      'tester',
      tester.isSaturated ? 'saturated' : 'not the bottleneck',
      `busy ${formatPercent(tester.busy)}`,
      tester.isSaturated ? 'bad' : 'good',
    ],
  ]
  if (result.isOpenLoop) {
    cards.push(['offered', `${formatRate(rates.offered)}/s`, `${counts.missed} never sent`, ''])
  }
  for (const slo of trial.slos) {
    cards.push(['goal', slo.met ? 'met' : 'missed', slo.text, slo.met ? 'good' : 'bad'])
  }
  return cards
}

function sessionCards(trial: TrialResult): Card[] {
  const { delivery, verdict, counts, rates } = trial
  const ack = trial.latencies.ack?.summary
  const alive = formatCount(delivery.received)
  const of = `of ${formatCount(delivery.expected)}: ${verdict.text}`
  const broken = `${formatCount(counts.brokenConnections)} broken`
  const answered = answersText(trial)
  return [
    ['alive', alive, of, verdict.perfect ? 'good' : 'bad'],
    ['published', `${formatRate(rates.sent)}/s`, `${formatCount(counts.sent)} messages`, ''],
    ['answer p50', formatUs(ack?.p50), `p99 ${formatUs(ack?.p99)}`, ''],
    ['answer max', formatUs(ack?.max), `answered ${answered}`, ''],
    ['reconnected', formatCount(counts.reconnects), broken, ''],
  ]
}

function messageCards(trial: TrialResult): Card[] {
  const { rates, delivery, verdict, counts } = trial
  const response = trial.latencies.response?.summary
  const { duplicated, reordered, damaged, otherQoS } = delivery
  const others = [
    `${formatCount(duplicated)} duplicated`,
    `${formatCount(reordered)} reordered`,
    ...(damaged > 0 ? [`${formatCount(damaged)} damaged`] : []),
    ...(otherQoS > 0 ? [`${formatCount(otherQoS)} at another QoS`] : []),
  ]
  return [
    ['received', `${formatRate(rates.received)}/s`, `${formatCount(counts.received)} messages`, ''],
    ['response p50', formatUs(response?.p50), `p99 ${formatUs(response?.p99)}`, ''],
    ['response max', formatUs(response?.max), `p99.9 ${formatUs(response?.['p99.9'])}`, ''],
    [
      'lost',
      formatCount(delivery.lost),
      others.join(', '),
      verdict.perfect ? 'good' : verdict.contractMet ? '' : 'bad',
    ],
  ]
}

function card([label, value, small, state]: Card): string {
  // A number does not go on in the next line.
  const whole = (text: string): string => escaped(text).replace(/(?<=\d) (?=\d{3})/g, '\u00a0')
  return `<div class="card ${state}"><span>${escaped(label)}</span><b>${whole(value)}</b>
<small>${whole(small)}</small></div>`
}

function fact([name, value]: readonly [string, string]): string {
  return `<dt>${name}</dt><dd>${escaped(value)}</dd>`
}

function latencyTable(result: RunResult, trial: TrialResult): string {
  const columns = ['count', 'min', 'mean', 'stddev', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max']
  const rows = (['response', 'service', 'ack', 'connect', 'slip'] as const).flatMap(name => {
    const summary = trial.latencies[name]?.summary
    if (summary === undefined) return []
    const cells = columns.map(column => {
      const value = summary[column as keyof typeof summary]
      return `<td>${column === 'count' ? formatCount(value) : formatUs(value)}</td>`
    })
    const text = `<small>${latencyText(result, name)}</small>`
    return [`<tr><th>${name}${text}</th>${cells.join('')}</tr>`]
  })
  const head = columns.map(column => `<th>${column}</th>`).join('')
  return `<div class="scroll"><table><thead><tr><th>latency</th>${head}</tr></thead>
<tbody>${rows.join('')}</tbody></table></div>`
}

function chartsOf(result: RunResult, trial: TrialResult, number: number): ChartData[] {
  const charts: ChartData[] = []
  const intervals = wholeIntervals(trial)
  const x = intervals.map(one => one.toSeconds)
  const isAnswers = trial.sessions !== undefined
  const warmupMs = result.config['warmupMs']
  const hasWarmup = typeof warmupMs === 'number' && warmupMs > 0
  const measured = hasWarmup ? { measuredFrom: warmupMs / 1e3 } : {}
  const perSecond = (name: 'sent' | 'acked' | 'received'): number[] =>
    intervals.map(one => one[name] / Math.max(1e-3, one.toSeconds - one.fromSeconds))
  if (x.length > 1) {
    const rates = [
      { label: 'sent', y: perSecond('sent') },
      // Sessions that only publish receive nothing, and that is no figure.
      ...(isAnswers && trial.counts.received === 0
        ? []
        : [{ label: 'received', y: perSecond('received') }]),
    ]
    if (trial.counts.acked > 0) rates.push({ label: 'acknowledged', y: perSecond('acked') })
    const title = 'Messages per second'
    charts.push({
      id: `rate${number}`,
      title,
      kind: 'time',
      unit: 'rate',
      x,
      series: rates,
      ...measured,
    })
    const times = (['p50', 'p99', 'max'] as const).map(name => ({
      label: name,
      y: intervals.map(one => one[name]),
    }))
    charts.push({
      ...{
        id: `latency${number}`,
        title: `${isAnswers ? 'Time to the answer' : 'Response time'}, second by second`,
        kind: 'time',
      },
      ...{ unit: 'us', x, series: times, ...measured },
    })
    charts.push({
      ...{ id: `loop${number}`, title: 'Event loop delay of the tester', kind: 'time', unit: 'ms' },
      ...{ x, series: [{ label: 'p99', y: intervals.map(one => one.loopDelayMs) }], ...measured },
    })
  }
  const spectrum = spectrumChart(trial, number)
  if (spectrum !== null) charts.push(spectrum)
  return charts
}

/** What is left of a second at the end would be drawn as if it were one. */
function wholeIntervals({ intervals }: TrialResult): readonly Interval[] {
  const last = intervals.at(-1)
  const isPart = last !== undefined && last.toSeconds - last.fromSeconds < INTERVAL_SECONDS_MIN
  return isPart && intervals.length > 2 ? intervals.slice(0, -1) : intervals
}

/** All curves over one x, the number of nines: 1 is 90 %, 2 is 99 %. */
function spectrumChart(trial: TrialResult, number: number): ChartData | null {
  const names = (['response', 'service', 'ack'] as const).filter(
    name => trial.latencies[name] !== undefined,
  )
  const curves = names.map(name => spectrumOf(trial.latencies[name]?.encoded ?? ''))
  const longest = curves.reduce((a, b) => (a.length > b.length ? a : b), [])
  if (longest.length === 0) return null
  const nines = (percentile: number): number => -Math.log10(1 - percentile / 100)
  const x = longest.map(([percentile]) => nines(percentile))
  const series = names.map((label, i) => ({
    label,
    y: x.map(at => curves[i]?.find(([percentile]) => nines(percentile) >= at)?.[1] ?? null),
  }))
  const title = 'Distribution of latency'
  return { id: `spectrum${number}`, title, kind: 'percentile', unit: 'us', x, series }
}

const ExitTexts: Readonly<Record<number, string>> = {
  0: 'all well',
  1: 'delivery was broken',
  4: 'a goal was missed',
  5: 'the tester was saturated',
  130: 'interrupted',
}

function exitText(code: number): string {
  return ExitTexts[code] ?? `exit code ${code}`
}
