// What a test that is about memory measures: V8's heap after a collection.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
