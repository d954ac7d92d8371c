// The thread in which argon2id is checked.

import { parentPort } from 'node:worker_threads'
import { isArgonOf } from './argon.ts'
import type { ArgonAnswer, ArgonQuestion } from './argon-thread.ts'

parentPort?.on('message', ({ id, password, hash }: ArgonQuestion) => {
  isArgonOf(password, hash).then(
    isRight => answer({ id, isRight, error: null }),
    (error: unknown) => answer({ id, isRight: false, error: String(error) }),
  )
})

function answer(message: ArgonAnswer): void {
  parentPort?.postMessage(message)
}
