// A process that opens a session store, commits a record, and keeps it open until it is killed.

import { fileStore } from '../stores/file.ts'

const store = fileStore(process.argv[2] ?? '')
await store.open()
store.put(1, Uint8Array.of(1))
store.commit(error => {
  if (error !== null) throw error
  process.send?.('open')
})
// Waits for what never comes.
process.on('message', () => process.exit())
