// Some descriptors are kept away from connections, and connections are taken again when some end.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { Descriptors } from './descriptors.ts'

function short(most: number): { gate: Descriptors; turns: boolean[]; free(next: number): void } {
  let next = 20
  const turns: boolean[] = []
  const gate = new Descriptors(isShut => turns.push(isShut), { most, next: () => next })
  return {
    gate,
    turns,
    free: number => {
      next = number
    },
  }
}

test('connections are refused from the limit less the reserve on, and not one before', () => {
  for (const [most, threshold] of [
    [1024, 960],
    [100, 75],
  ] as const) {
    const { gate, turns, free } = short(most)
    const server = createServer()
    gate.watch(server, 500)
    free(threshold - 1)
    gate.look()
    assert.equal(server.maxConnections, 500)
    free(threshold)
    gate.look()
    assert.equal(server.maxConnections, 1)
    const late = createServer()
    gate.watch(late, 7)
    assert.equal(late.maxConnections, 1)
    gate.look()
    free(threshold - 1)
    gate.look()
    assert.deepEqual([server.maxConnections, late.maxConnections], [500, 7])
    assert.deepEqual(turns, [true, false])
  }
})

test('a storm within one turn is noticed after eight connections', () => {
  const { gate, free } = short(1024)
  const servers = [createServer(), createServer()]
  for (const server of servers) gate.watch(server, 500)
  free(1000)
  for (let i = 0; i < 7; i++) servers[i % 2]?.emit('connection')
  assert.equal(gate.isShut, false)
  servers[1]?.emit('connection')
  assert.deepEqual(
    servers.map(server => server.maxConnections),
    [1, 1],
  )
})

test('the number of a connection says when to look', () => {
  const { gate, free } = short(1024)
  const server = createServer()
  gate.watch(server, 500)
  free(1000)
  for (let i = 0; i < 50; i++) server.emit('connection', { _handle: { fd: 959 } })
  assert.equal(gate.isShut, false)
  server.emit('connection', { _handle: { fd: 960 } })
  assert.equal(gate.isShut, true)
})

test('a real connection has a number', async t => {
  let looks = 0
  const world = { most: 4, next: () => looks++ }
  const gate = new Descriptors(() => undefined, world)
  const server = createServer()
  gate.watch(server, 500)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [accepted] = await once(server, 'connection')
  t.after(() => {
    server.close()
    socket.destroy()
    accepted.destroy()
  })
  // One of unknown number is looked after only as the eighth.
  assert.equal(looks, 1)
})

test('where no limit is known nothing is kept away', () => {
  const { gate, turns, free } = short(Number.POSITIVE_INFINITY)
  free(1e9)
  const server = createServer()
  gate.watch(server, 500)
  gate.look()
  assert.equal(server.maxConnections, 500)
  assert.deepEqual(turns, [])
})
