// The engines of a run of `ping` or `load`, in this process or in others, behind one asynchronous
// interface.

import { Engine } from './engine.ts'
import type {
  ConnectReport,
  IntervalReport,
  PartReport,
  Progress,
  SentTable,
} from './engine-reports.ts'
import { Remote } from './remote.ts'
import type { LoadSettings } from './settings.ts'

export interface Part {
  /** Resolves when it can begin: a process that starts takes the processor from the others. */
  ready(): Promise<void>
  connect(): Promise<ConnectReport>
  /** What `connect` and `subscribe` have not done yet is given up. */
  stopOpening(): Promise<void>
  subscribe(): Promise<string[]>
  publish(startUs: number): Promise<void>
  stop(): Promise<void>
  storm(share: number): Promise<void>
  sentTable(): Promise<SentTable>
  progress(sent: SentTable): Promise<Progress>
  interval(): Promise<IntervalReport>
  report(sent: SentTable): Promise<PartReport>
  close(): Promise<void>
}

export function openParts(settings: LoadSettings, run: number): Part[] {
  if (settings.processes === 1) return [localPart(new Engine(settings, 0, run))]
  return Array.from({ length: settings.processes }, (_, worker) =>
    remotePart(new Remote({ settings, worker, run })),
  )
}

function localPart(engine: Engine): Part {
  return {
    ready: async () => undefined,
    connect: () => engine.connect(),
    stopOpening: async () => engine.stopOpening(),
    subscribe: () => engine.subscribe(),
    publish: startUs => engine.publish(startUs),
    stop: async () => engine.stop(),
    storm: share => engine.storm(share),
    sentTable: async () => engine.sentTable(),
    progress: async sent => engine.progress(sent),
    interval: async () => engine.interval(),
    report: async sent => engine.report(sent),
    close: () => engine.close(),
  }
}

function remotePart(remote: Remote): Part {
  return {
    ready: () => remote.ready,
    connect: () => remote.call('connect') as Promise<ConnectReport>,
    stopOpening: () => remote.call('stopOpening') as Promise<void>,
    subscribe: () => remote.call('subscribe') as Promise<string[]>,
    publish: startUs => remote.call('publish', startUs) as Promise<void>,
    stop: () => remote.call('stop') as Promise<void>,
    storm: share => remote.call('storm', share) as Promise<void>,
    sentTable: () => remote.call('sentTable') as Promise<SentTable>,
    progress: sent => remote.call('progress', sent) as Promise<Progress>,
    interval: () => remote.call('interval') as Promise<IntervalReport>,
    report: sent => remote.call('report', sent) as Promise<PartReport>,
    close: () => remote.call('close').then(() => remote.leave()),
  }
}
