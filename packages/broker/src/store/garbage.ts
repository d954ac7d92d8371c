// A garbage collection at a moment that suits, and not when the engine comes to it: V8 gives memory
// back after one only, and an idle thread has none.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Of this thread's heap. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}
