// Loaded into a broker before anything else: every sync says that it is done and does nothing. With
// it a power cut must lose what was acknowledged; if it does not, the rig that cuts the power is
// blind.

import fs from 'node:fs'

type Callback = (error: Error | null) => void

const done = (_descriptor: number, callback: Callback): void => {
  setImmediate(() => callback(null))
}
Object.assign(fs, {
  fdatasync: done,
  fsync: done,
  fdatasyncSync: () => undefined,
  fsyncSync: () => undefined,
})
const handle = await fs.promises.open(new URL(import.meta.url), 'r')
Object.assign(Object.getPrototypeOf(handle), {
  sync: () => Promise.resolve(),
  datasync: () => Promise.resolve(),
})
await handle.close()
