// The numbers of the broker in the formats of Prometheus and of OpenMetrics. A registry is made for
// each answer: nothing is counted here, and prom-client renames what it has written as OpenMetrics.

import {
  Counter,
  Gauge,
  Histogram,
  type OpenMetricsContentType,
  type PrometheusContentType,
  Registry,
} from 'prom-client'
import type { HistogramReading } from '../histogram.ts'
import { METRICS, type Metric } from './metric-table.ts'
import type { Readings } from './readings.ts'

/** An answer to who collects metrics. */
export interface MetricsText {
  readonly contentType: string
  readonly text: string
}

/** The metrics as text, in OpenMetrics or the older format that every collector knows. */
export async function metricsText(readings: Readings, openMetrics: boolean): Promise<MetricsText> {
  const contentType = openMetrics
    ? Registry.OPENMETRICS_CONTENT_TYPE
    : Registry.PROMETHEUS_CONTENT_TYPE
  const registry = openMetrics ? openMetricsRegistry() : new Registry()
  for (const metric of METRICS) register(registry, metric, readings)
  return { contentType, text: await registry.metrics() }
}

type AnyRegistry = Registry<PrometheusContentType> | Registry<OpenMetricsContentType>

function openMetricsRegistry(): Registry<OpenMetricsContentType> {
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  return registry
}

function register(registry: AnyRegistry, metric: Metric, readings: Readings): void {
  const { name, help, labels, value } = metric
  const settings = { name, help, labelNames: labels, registers: [registry] }
  if (value.type === 'histogram') {
    const reading = value.read(readings)
    if (reading !== null) new ReadHistogram(registry, name, help, reading)
    return
  }
  const samples = value.read(readings)
  if (samples === null) return
  if (value.type === 'gauge') {
    const gauge = new Gauge(settings)
    for (const sample of samples) gauge.set(sample.labels, sample.value)
    return
  }
  const counter = new Counter(settings)
  for (const sample of samples) counter.inc(sample.labels, sample.value)
}

type Written = Awaited<ReturnType<Histogram['get']>>

/** A histogram that was counted elsewhere. */
class ReadHistogram extends Histogram {
  readonly #name: string
  readonly #reading: HistogramReading
  /** One that is empty says all but the values. */
  readonly #empty: Histogram

  constructor(registry: AnyRegistry, name: string, help: string, reading: HistogramReading) {
    const buckets = [...reading.bounds]
    super({ name, help, buckets, registers: [registry] })
    this.#empty = new Histogram({ name, help, buckets, registers: [] })
    this.#name = name
    this.#reading = reading
  }

  override async get(): Promise<Written> {
    const { bounds, counts, count, sum } = this.#reading
    const name = this.#name
    let upTo = 0
    const values: Written['values'] = bounds.map((le, index) => {
      upTo += counts[index] ?? 0
      return { metricName: `${name}_bucket`, labels: { le }, value: upTo }
    })
    values.push({ metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: count })
    values.push({ metricName: `${name}_sum`, labels: {}, value: sum })
    values.push({ metricName: `${name}_count`, labels: {}, value: count })
    return { ...(await this.#empty.get()), values }
  }

  /** What the registry asks for, in place of `get`. */
  getForPromString(): Promise<Written> {
    return this.get()
  }
}
