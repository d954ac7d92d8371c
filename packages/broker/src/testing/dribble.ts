// Says a little again and again, as who wants to keep a connection without using it.

import type { Socket } from 'node:net'

/** Writes the text every so often until the socket has closed, which resolves it. */
export function dribble(socket: Socket, text: string, everyMs: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setInterval(() => socket.write(text), everyMs)
    socket.once('close', () => {
      clearInterval(timer)
      resolve()
    })
  })
}
