// A WebSocket of a client as a stream of bytes, which closes when the WebSocket does: the stream
// of `ws` waits for writes that nobody takes any more.

import { Duplex } from 'node:stream'
import { WebSocket } from 'ws'

export function webSocketStream(webSocket: WebSocket): Duplex {
  const opened = new Promise<void>(resolve => {
    if (webSocket.readyState === WebSocket.OPEN) resolve()
    else webSocket.once('open', () => resolve())
  })
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => {
      void opened.then(() => {
        webSocket.send(chunk)
        done()
      })
    },
    destroy: (error, done) => {
      webSocket.terminate()
      done(error)
    },
  })
  webSocket.on('message', data => stream.push(data))
  webSocket.on('error', () => undefined)
  webSocket.on('close', () => stream.destroy())
  return stream
}
