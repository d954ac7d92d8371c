// Mosquitto's commands against the broker, over real sockets.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { BrokerOptions, BrokerServer } from '@godwit/broker'
import { nextEvent, until, untilEmpty, withBroker } from '../support/brokers.ts'
import { makeCertificates } from '../support/certificates.ts'
import { publishPacket, RawClient } from '../support/raw-client.ts'
import { run } from '../support/run.ts'
import { skipWithout } from '../support/skip.ts'

const MOSQUITTO = '/usr/bin/mosquitto_pub'
const VERSIONS = ['31', '311', '5'] as const

function missing(context: TestContext): boolean {
  return skipWithout(context, existsSync(MOSQUITTO) ? undefined : 'mosquitto-clients')
}

async function withPort(
  use: (broker: BrokerServer, port: string) => Promise<void>,
  options: BrokerOptions = {},
): Promise<void> {
  await withBroker(options, async broker => {
    const { port } = await broker.listen({ port: 0 })
    await use(broker, String(port))
  })
}

/** mosquitto_sub, once it has subscribed. */
async function subscriber(broker: BrokerServer, args: readonly string[]) {
  const ready = nextEvent(broker, 'subscribe')
  const result = run('mosquitto_sub', [...args, '-W', '50'])
  await ready
  return { result }
}

for (const version of VERSIONS) {
  for (const qos of ['0', '1', '2']) {
    test(`mosquitto_pub and mosquitto_sub, version ${version}, QoS ${qos}`, async context => {
      if (missing(context)) return
      await withPort(async (broker, port) => {
        const common = ['-p', port, '-V', version, '-q', qos]
        const { result } = await subscriber(broker, [...common, '-t', 'a/#', '-v', '-C', '2'])
        await run('mosquitto_pub', [...common, '-t', 'a/b', '-m', 'one'])
        const published = await run('mosquitto_pub', [...common, '-t', 'a', '-m', 'two', '-r'])
        assert.equal(published.code, 0, published.errors)
        assert.equal((await result).output, 'a/b one\na two\n')
        const retained = await run('mosquitto_sub', [...common, '-t', '+', '-C', '1', '-W', '50'])
        assert.equal(retained.output, 'two\n')
      })
    })
  }

  test(`many lines and a large payload come in order, version ${version}`, async context => {
    if (missing(context)) return
    await withPort(async (broker, port) => {
      const common = ['-p', port, '-V', version, '-q', '2']
      const { result } = await subscriber(broker, [...common, '-t', 't', '-C', '301'])
      const lines = Array.from({ length: 300 }, (_, i) => `line ${i}`).join('\n')
      const published = await run('mosquitto_pub', [...common, '-t', 't', '-l'], {
        input: `${lines}\n`,
      })
      assert.equal(published.code, 0, published.errors)
      const large = 'x'.repeat(300_000)
      await run('mosquitto_pub', [...common, '-t', 't', '-s'], { input: large })
      assert.equal((await result).output, `${lines}\n${large}\n`)
    })
  })

  test(`a will is published when its client is killed, version ${version}`, async context => {
    if (missing(context)) return
    await withPort(async (broker, port) => {
      const at = ['-p', port, '-V', version]
      const { result } = await subscriber(broker, [...at, '-t', 'will', '-q', '1', '-C', '1'])
      const ready = nextEvent(broker, 'subscribe')
      const will = ['--will-topic', 'will', '--will-payload', 'gone', '--will-qos', '1']
      const victim = spawn('mosquitto_sub', [...at, '-t', 'x', ...will, '--will-retain'], {
        stdio: 'ignore',
      })
      await ready
      victim.kill('SIGKILL')
      assert.equal((await result).output, 'gone\n')
      const retained = await run('mosquitto_sub', [...at, '-t', 'will', '-C', '1', '-W', '50'])
      assert.equal(retained.output, 'gone\n')
    })
  })

  test(`a client that says goodbye leaves no will, version ${version}`, async context => {
    if (missing(context)) return
    await withPort(async (broker, port) => {
      const at = ['-p', port, '-V', version]
      const will = ['--will-topic', 'will', '--will-payload', 'gone', '--will-retain']
      const gone = nextEvent(broker, 'clientDisconnected')
      await run('mosquitto_pub', [...at, '-t', 't', '-m', 'm', ...will])
      await gone
      await untilEmpty(broker)
      assert.equal(broker.stats().retainedMessages, 0)
    })
  })

  test(`a session is resumed with what it missed, version ${version}`, async context => {
    if (missing(context)) return
    await withPort(async (_broker, port) => {
      const common = ['-p', port, '-V', version, '-q', '1', '-t', 'a']
      const expiry = version === '5' ? ['-x', '3600'] : []
      const session = [...common, '-i', 'me', '-c', ...expiry]
      await run('mosquitto_sub', [...session, '-E'])
      for (const message of ['one', 'two']) {
        await run('mosquitto_pub', [...common, '-m', message])
      }
      const missed = await run('mosquitto_sub', [...session, '-C', '2', '-W', '50'])
      assert.equal(missed.output, 'one\ntwo\n', missed.errors)
    })
  })

  test(`a wrong password is told, version ${version}`, async context => {
    if (missing(context)) return
    const hooks = {
      authenticate: ({ password }: { password: Uint8Array | null }) =>
        String(Buffer.from(password ?? [])) === 'right' || 0x86,
    }
    await withPort(
      async (_broker, port) => {
        const args = ['-p', port, '-V', version, '-t', 't', '-m', 'm', '-u', 'ann', '-P']
        assert.equal((await run('mosquitto_pub', [...args, 'right'])).code, 0)
        const { code, errors } = await run('mosquitto_pub', [...args, 'wrong'])
        assert.notEqual(code, 0)
        assert.match(errors, /bad user name or password/i)
      },
      { hooks },
    )
  })
}

test('an empty retained message removes, and --remove-retained finds all', async context => {
  if (missing(context)) return
  await withPort(async (broker, port) => {
    for (const topic of ['r/1', 'r/2', 'r/3']) broker.publish(topic, 'kept', { retain: true })
    // At QoS 0 it may have ended before the broker has read what it sent.
    await run('mosquitto_pub', ['-p', port, '-t', 'r/1', '-n', '-r'])
    await until(() => broker.stats().retainedMessages === 2, 'one is removed')
    const remove = ['--remove-retained', '-v', '-C', '2', '-W', '50']
    const { output } = await run('mosquitto_sub', ['-p', port, '-t', 'r/#', ...remove])
    assert.deepEqual(output.split('\n').sort(), ['', 'r/2 kept', 'r/3 kept'])
    await until(() => broker.stats().retainedMessages === 0, 'all are removed')
  })
})

for (const version of ['311', '5']) {
  test(`mosquitto_rr gets its answer, version ${version}`, async context => {
    if (missing(context)) return
    await withPort(async (broker, port) => {
      const responder = RawClient.tcp(Number(port))
      await responder.connect()
      await responder.subscribe('question')
      const args = ['-p', port, '-V', version, '-t', 'question', '-e', 'answer', '-m', '6 x 7']
      const asked = run('mosquitto_rr', [...args, '-W', '50'])
      const packet = await responder.expect(3)
      assert.equal(String(Buffer.from(packet.payload)), '6 x 7')
      const { responseTopic = 'answer', correlationData } = packet.properties
      const properties = correlationData === undefined ? {} : { correlationData }
      responder.send(publishPacket(responseTopic, '42', { properties }))
      assert.equal((await asked).output, '42\n')
      responder.destroy()
      assert.equal(broker.losses().length, 0)
    })
  })
}

test('properties of MQTT 5.0 reach mosquitto_sub as they were sent', async context => {
  if (missing(context)) return
  await withPort(async (broker, port) => {
    const format = '%C %P %R %E %t %p'
    const args = ['-p', port, '-V', '5', '-t', 't', '-C', '1', '-F', format]
    const { result } = await subscriber(broker, args)
    const set = (name: string, ...values: string[]): string[] => ['-D', 'publish', name, ...values]
    await run('mosquitto_pub', [
      ...['-p', port, '-V', '5', '-t', 't', '-m', 'm'],
      ...set('content-type', 'text/plain'),
      ...set('user-property', 'name', 'value'),
      ...set('response-topic', 'back'),
      ...set('message-expiry-interval', '100'),
    ])
    assert.equal((await result).output, 'text/plain name:value back 100 t m\n')
  })
})

test('mosquitto_sub shares a subscription with another', async context => {
  if (missing(context)) return
  await withPort(async (broker, port) => {
    const args = ['-p', port, '-V', '5', '-t', '$share/g/t', '-q', '1', '-C', '5']
    const first = await subscriber(broker, args)
    const second = await subscriber(broker, args)
    for (let i = 0; i < 10; i++) broker.publish('t', String(i), { qos: 1 })
    const outputs = [(await first.result).output, (await second.result).output]
    const all = outputs.flatMap(output => output.trim().split('\n')).map(Number)
    assert.deepEqual(all.sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})

test('TLS with a certificate of the client lets it in by its name, nobody else', async context => {
  if (missing(context)) return
  const { ca, server, client } = await makeCertificates()
  const folder = mkdtempSync(join(tmpdir(), 'godwit-mosquitto-'))
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const names: (string | undefined)[] = []
  const hooks = {
    authenticate: ({ origin }: { origin: { certificate: { commonName: string } | null } }) => {
      names.push(origin.certificate?.commonName)
      return true
    },
  }
  try {
    await withBroker({ hooks }, async broker => {
      const tls = { cert: server.cert, key: server.key, ca }
      const { port } = await broker.listen({ port: 0, tls })
      const authority = ['--cafile', file('ca.crt', ca)]
      const identity = ['--cert', file('c.crt', client.cert), '--key', file('c.key', client.key)]
      const args = ['-h', 'localhost', '-p', String(port), '-t', 't', '-q', '1', ...authority]
      const { result } = await subscriber(broker, [...args, ...identity, '-C', '1'])
      const sent = await run('mosquitto_pub', [...args, ...identity, '-m', 'secret'])
      assert.equal(sent.code, 0, sent.errors)
      assert.equal((await result).output, 'secret\n')
      const stranger = await run('mosquitto_pub', [...args, '-m', 'no'])
      assert.notEqual(stranger.code, 0)
    })
    assert.deepEqual(names, ['client-1', 'client-1'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('mosquitto_pub over a Unix socket', async context => {
  if (missing(context)) return
  const folder = mkdtempSync(join(tmpdir(), 'godwit-mosquitto-'))
  try {
    await withBroker({}, async broker => {
      const path = join(folder, 'mqtt.sock')
      await broker.listen({ unix: path })
      const { result } = await subscriber(broker, ['--unix', path, '-t', 't', '-C', '1'])
      await run('mosquitto_pub', ['--unix', path, '-t', 't', '-m', 'm'])
      assert.equal((await result).output, 'm\n')
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
