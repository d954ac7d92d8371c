// Joins the pages for machines with the broker that they tell about. Loaded when metrics are asked
// for, and with it prom-client and the server of HTTP: whoever does not ask starts without them.

import { type AdminListener, listenAdmin, type MetricsAddress } from './admin/http.ts'
import { type MetricsText, metricsText } from './admin/metrics.ts'
import { ProcessMeter } from './admin/process-meter.ts'
import type { Readiness, Readings } from './admin/readings.ts'
import type { Broker as Core } from './core/broker.ts'
import type { OpenedStore } from './options.ts'
import { readCore } from './readings-of.ts'
import { VERSION } from './version.ts'

/** The broker, as far as it can be seen. */
export interface Observed {
  core(): Core | null
  store(): OpenedStore | null
  readiness(): Readiness
  failed(error: Error): void
}

const TIMEOUT_MS = 5000

export class Observer {
  private readonly observed: Observed
  private readonly meter = new ProcessMeter()
  private readonly listeners: AdminListener[] = []
  /** All who ask meanwhile get the same. */
  private reading: Promise<Readings> | null = null

  constructor(observed: Observed) {
    this.observed = observed
  }

  async metrics(openMetrics: boolean): Promise<MetricsText> {
    this.reading ??= this.read().finally(() => {
      this.reading = null
    })
    return metricsText(await this.reading, openMetrics)
  }

  /** @throws the system's error when the address cannot be had */
  async listen(
    host: string,
    port: number,
    timeoutMs: number = TIMEOUT_MS,
  ): Promise<MetricsAddress> {
    const { observed } = this
    const pages = {
      metrics: (openMetrics: boolean) => this.metrics(openMetrics),
      readiness: () => observed.readiness(),
      failed: (error: Error) => observed.failed(error),
    }
    const listener = await listenAdmin(pages, { host, port, timeoutMs })
    this.listeners.push(listener)
    return listener.address
  }

  async close(): Promise<void> {
    this.meter.end()
    for (const listener of this.listeners.splice(0)) await listener.close()
  }

  private async read(): Promise<Readings> {
    const { observed, meter } = this
    const core = observed.core()
    return {
      version: VERSION,
      isReady: observed.readiness().reason === null,
      core: core === null ? null : await readCore(core),
      store: observed.store()?.report?.() ?? null,
      process: meter.read(),
    }
  }
}
