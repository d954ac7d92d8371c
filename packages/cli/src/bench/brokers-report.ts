// A comparison of brokers as Markdown and as a page: the same numbers, nothing left out, losses
// included.

import {
  type BrokersResult,
  deliveryText,
  meanOf,
  measurementsOf,
  spreadOf,
} from './brokers-result.ts'
import { formatBytes, formatRate, formatUs } from './numbers.ts'
import { type ChartData, chartBox, escaped, page } from './report-html.ts'

interface Table {
  readonly title: string
  readonly head: readonly string[]
  /** The first cell names the scenario. */
  readonly rows: readonly (readonly Cell[])[]
}

interface Cell {
  readonly text: string
  readonly state: '' | 'best' | 'bad'
}

export function brokersMarkdown(result: BrokersResult): string {
  const { brokers, missing, scenarios } = result
  const parts = [
    '# Brokers compared',
    `Measured ${result.startedAt} by \`godwit bench ${result.commandLine}\`.`,
    conditions(result),
    markdownTable(
      ['Broker', 'Version', 'Protocol', 'How'],
      brokers.map(({ name, version, protocol, about }) => [name, version, protocol, about]),
    ),
    ...(missing.length === 0 ? [] : [`Not installed, so not measured: ${missing.join(', ')}.`]),
    ...tablesOf(result).map(
      ({ title, head, rows }) =>
        `## ${title}\n\n${markdownTable(
          head,
          rows.map(row => row.map(markdownCell)),
        )}`,
    ),
    `## Scenarios\n\n${scenarios.map(({ name, about }) => `- \`${name}\`: ${about}`).join('\n')}`,
    notes(result),
  ]
  return `${parts.join('\n\n')}\n`
}

export function brokersPage(result: BrokersResult): string {
  const { brokers, scenarios } = result
  const charts = chartsOf(result)
  const facts = brokers.map(
    ({ name, version, protocol, about }) =>
      `<dt>${escaped(name)}</dt><dd>${escaped(`${version}, ${protocol}, ${about}`)}</dd>`,
  )
  const about = scenarios.map(one => `<dt>${escaped(one.name)}</dt><dd>${escaped(one.about)}</dd>`)
  const tables = tablesOf(result).map(
    ({ title, head, rows }) => `<h2>${escaped(title)}</h2><div class="scroll"><table>
<thead><tr>${head.map(cell => `<th>${escaped(cell)}</th>`).join('')}</tr></thead>
<tbody>${rows.map(row => `<tr>${row.map(htmlCell).join('')}</tr>`).join('')}</tbody></table></div>`,
  )
  const body = `
<header><h1>MQTT brokers compared</h1><p>${escaped(conditions(result))}</p></header>
<section><dl>${facts.join('')}</dl></section>
<section><div class="charts">${charts.map(({ id }) => chartBox(id)).join('')}</div></section>
<section>${tables.join('\n')}</section>
<section><h2>Scenarios</h2><dl>${about.join('')}</dl><p>${escaped(notes(result))}</p></section>
<section><h2>Command</h2><pre>godwit bench ${escaped(result.commandLine)}</pre></section>`
  return page('MQTT brokers compared', body, charts)
}

function tablesOf(result: BrokersResult): Table[] {
  const open = result.scenarios.filter(({ isOpenLoop }) => isOpenLoop)
  const closed = result.scenarios.filter(({ isOpenLoop }) => !isOpenLoop)
  const rate = (value: number): string => `${formatRate(value)}/s`
  const tables: Table[] = []
  const add = (title: string, of: BrokersResult['scenarios'], how: How): void => {
    if (of.length === 0) return
    const head = ['scenario', ...result.brokers.map(({ name }) => name)]
    tables.push({ title, head, rows: of.map(({ name }) => figureRow(result, name, how)) })
  }
  add('Messages delivered per CPU second of the broker', closed, {
    figure: 'perCpuSecond',
    format: rate,
    best: 'most',
  })
  add('Messages delivered per second', closed, {
    figure: 'receivedPerSecond',
    format: rate,
    best: 'most',
  })
  add('Response time at the same rate, p50', open, {
    figure: 'p50',
    format: formatUs,
    best: 'least',
  })
  add('Response time at the same rate, p99', open, {
    figure: 'p99',
    format: formatUs,
    best: 'least',
  })
  add('CPU seconds of the broker at the same rate', open, {
    figure: 'cpuSeconds',
    format: value => `${value.toFixed(2)} s`,
    best: 'least',
  })
  add('Memory of the broker at the end', result.scenarios, {
    figure: 'memoryBytes',
    format: formatBytes,
    best: 'least',
  })
  tables.push(deliveryTable(result))
  return tables
}

interface How {
  readonly figure:
    | 'perCpuSecond'
    | 'receivedPerSecond'
    | 'p50'
    | 'p99'
    | 'cpuSeconds'
    | 'memoryBytes'
  readonly format: (value: number) => string
  readonly best: 'most' | 'least'
}

function figureRow(result: BrokersResult, scenario: string, how: How): Cell[] {
  const all = result.brokers.map(({ name }) => measurementsOf(result, scenario, name))
  const means = all.map(measurements => meanOf(measurements, how.figure))
  const known = means.filter(mean => mean !== null)
  const best = how.best === 'most' ? Math.max(...known) : Math.min(...known)
  const cells = all.map((measurements, i): Cell => {
    const mean = means[i]
    if (mean === null || mean === undefined) return { text: '-', state: '' }
    const spread = spreadOf(measurements, how.figure)
    const range = measurements.length > 1 ? ` ±${(spread * 100).toFixed(0)} %` : ''
    const text = `${how.format(mean)}${range}`
    return { text, state: mean === best ? 'best' : '' }
  })
  return [{ text: scenario, state: '' }, ...cells]
}

function deliveryTable(result: BrokersResult): Table {
  return {
    title: 'Delivery',
    head: ['scenario', ...result.brokers.map(({ name }) => name)],
    rows: result.scenarios.map(({ name: scenario }) => [
      { text: scenario, state: '' as const },
      ...result.brokers.map(({ name }): Cell => {
        const text = deliveryText(measurementsOf(result, scenario, name))
        return { text, state: text === 'all, once, in order' || text === '-' ? '' : 'bad' }
      }),
    ]),
  }
}

function chartsOf(result: BrokersResult): ChartData[] {
  const closed = result.scenarios.filter(({ isOpenLoop }) => !isOpenLoop)
  return closed.map(({ name }) => {
    const means = result.brokers.map(broker =>
      meanOf(measurementsOf(result, name, broker.name), 'perCpuSecond'),
    )
    return {
      id: `chart-${name}`,
      title: `${name}: messages per CPU second of the broker`,
      kind: 'bars' as const,
      unit: 'rate' as const,
      x: result.brokers.map(broker => broker.name),
      series: [{ label: 'messages per CPU second', y: means }],
    }
  })
}

function conditions({ host, seconds, repeats, loadAverage }: BrokersResult): string {
  const { cpus, cpuModel, memoryBytes, system, node } = host
  const machine = `${cpus} x ${cpuModel}, ${formatBytes(memoryBytes)}, ${system}, Node ${node}`
  const times = repeats === 1 ? 'once' : `${repeats} times`
  return (
    `${machine}. Each scenario ${times}, ${seconds} s after 1 s of warm-up, broker and tester on ` +
    'the same machine, a fresh broker each time. ' +
    `Load average before it: ${loadAverage.toFixed(1)}` +
    (loadAverage > host.cpus / 2 ? ', so the machine had other work to do.' : '.')
  )
}

function notes(result: BrokersResult): string {
  const saturated = result.measurements.filter(one => one.wasTesterSaturated).length
  const all = result.measurements.filter(one => one.failure === null).length
  const tester =
    `In ${saturated} of ${all} measurements the tester itself was at its limit, so that messages ` +
    'per second are a lower bound there; messages per CPU second of the broker suffer far less.'
  const spread = '± is half of the distance between the least and the greatest measurement.'
  return `${tester} ${spread} Times of a closed loop are not compared: a slow broker slows it down.`
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function markdownCell({ text, state }: Cell): string {
  const plain = text.replaceAll('|', '\\|')
  return state === 'best' ? `**${plain}**` : plain
}

function htmlCell({ text, state }: Cell): string {
  return `<td class="${state}">${escaped(text)}</td>`
}
