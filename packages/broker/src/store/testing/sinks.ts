// Receivers of records for tests: one that ignores what it is not told to take, one that lists all.

import type { RecordSink } from '../record-writer.ts'

const Ignored: RecordSink = {
  putSession: () => undefined,
  removeSession: () => undefined,
  putSubscription: () => undefined,
  removeSubscription: () => undefined,
  putMessage: () => undefined,
  putDelivery: () => undefined,
  removeDelivery: () => undefined,
  putInflight: () => undefined,
  putReceived: () => undefined,
  removeReceived: () => undefined,
  putRetained: () => undefined,
  removeRetained: () => undefined,
  putWill: () => undefined,
  removeWill: () => undefined,
  putGroup: () => undefined,
  removeGroup: () => undefined,
  putGroupDelivery: () => undefined,
  removeGroupDelivery: () => undefined,
}

export function sinkOf(parts: Partial<RecordSink>): RecordSink {
  return { ...Ignored, ...parts }
}

/** Each call becomes `[name, ...arguments]`. */
export function tellingSink(take: (call: unknown[]) => void): RecordSink {
  const sink: Record<string, (...values: unknown[]) => void> = {}
  for (const name of Object.keys(Ignored)) {
    sink[name] = (...values) => take([name, ...values])
  }
  return sinkOf(sink as Partial<RecordSink>)
}

export function listingSink(calls: unknown[][]): RecordSink {
  return tellingSink(call => calls.push(call))
}
