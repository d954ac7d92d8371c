// What the options of a command come to for the client's WebSocket.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientChoice } from '../options/choice.ts'
import { webSocketOptions, webSocketUrl } from './web-socket.ts'

function choiceOf(more: Partial<ClientChoice>): ClientChoice {
  return Object.assign(new ClientChoice('pub'), { webSocket: true, port: 8083 }, more)
}

test('what is about TLS goes with it, and the scheme says so', () => {
  const choice = choiceOf({ tls: true, tlsAlpn: 'mqtt', tlsVersion: 'tlsv1.3', insecure: true })
  assert.equal(webSocketUrl(choice), 'wss://localhost:8083/mqtt')
  assert.deepEqual(webSocketOptions(choice), {
    tls: { alpn: ['mqtt'], minVersion: 'TLSv1.3', verify: false },
  })
})

test('without TLS nothing about it is asked of the client, which would refuse it', () => {
  const choice = choiceOf({ insecure: true, tlsAlpn: 'mqtt', bindAddress: '127.0.0.7' })
  assert.equal(webSocketUrl(choice), 'ws://localhost:8083/mqtt')
  assert.deepEqual(webSocketOptions(choice), { localAddress: '127.0.0.7' })
})
