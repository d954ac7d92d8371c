// `godwit serve` as people run it: flags, configuration, --check, signals and certificates.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { createBroker, hashPassword } from '@godwit/broker'
import { PacketType } from '@godwit/packet'
import { Authority } from '../support/certificates.ts'
import { publishPacket, RawClient } from '../support/raw-client.ts'
import { run } from '../support/run.ts'
import { GODWIT, type Served, serve } from '../support/served.ts'

async function withServed(
  args: readonly string[],
  use: (served: Served, ports: number[]) => Promise<void>,
): Promise<void> {
  const served = await serve(['--data', 'none', ...args])
  try {
    await use(
      served,
      served.urls.filter(url => !url.startsWith('unix')).map(url => Number(new URL(url).port)),
    )
  } finally {
    await served.stop('SIGKILL')
  }
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-serve-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('it serves, and SIGTERM stops it with 0x8B and exit code 0', async () => {
  await withServed(['--port', '0'], async (served, [port = 0]) => {
    const client = RawClient.tcp(port)
    assert.equal((await client.connect()).reasonCode, 0)
    const exit = served.stop('SIGTERM')
    assert.equal((await client.expect(PacketType.DISCONNECT)).reasonCode, 0x8b)
    client.destroy()
    assert.equal(await exit, 0)
    assert.ok(served.lines.some(line => line.includes('stopped')))
  })
})

test('by default it is for this machine only, and says so', async () => {
  await withServed(['--port', '0'], async served => {
    assert.match(served.urls[0] ?? '', /^mqtt:\/\/127\.0\.0\.1:/)
    assert.match(await served.line('listening on'), /this machine only/)
  })
})

test('limits and the dump are what the flags say', async () => {
  await withServed(
    ['--port', '0', '--max-packet-size', '2k', '--max-qos', '1', '--dump'],
    async (served, [port = 0]) => {
      const client = RawClient.tcp(port)
      const { properties } = await client.connect({ clientId: 'dumped' })
      assert.equal(properties.maximumPacketSize, 2048)
      assert.equal(properties.maximumQoS, 1)
      await served.line('CONNECT')
      await served.line('out dumped CONNACK')
      client.destroy()
    },
  )
})

test('a password file lets in who is in it, and is read again on SIGHUP', async () => {
  await withFolder(async folder => {
    const file = join(folder, 'passwords')
    const password = Buffer.from('secret')
    writeFileSync(file, `joe:${await hashPassword(password, 'sha512')}\nwrong line\n`)
    const args = ['--port', '0', '--password-file', file]
    await withServed(args, async (served, [port = 0]) => {
      await served.line('nobody comes in by this line')
      const code = async (username: string | null, of: Uint8Array | null): Promise<number> => {
        const client = RawClient.tcp(port)
        const { reasonCode } = await client.connect({ username, password: of })
        client.destroy()
        return reasonCode
      }
      assert.equal(await code('joe', password), 0)
      assert.equal(await code('joe', Buffer.from('guess')), 0x87)
      assert.equal(await code(null, null), 0x87)
      writeFileSync(file, '')
      served.child.kill('SIGHUP')
      await served.line('0 users have a password')
      assert.equal(await code('joe', password), 0x87)
    })
  })
})

test('an ACL file says who publishes and reads what, and is read again on SIGHUP', async () => {
  await withFolder(async folder => {
    const file = join(folder, 'acl')
    writeFileSync(file, 'pattern %u/own/#\nuser ann\ntopic read all/#\ntopic write in\n')
    await withServed(['--port', '0', '--acl-file', file], async (served, [port = 0]) => {
      await served.line('nobody checks the user names of the ACL file')
      const come = async (username: string): Promise<RawClient> => {
        const client = RawClient.tcp(port)
        await client.connect({ username, clientId: username })
        return client
      }
      const [ann, bob] = [await come('ann'), await come('bob')]
      const publish = async (client: RawClient, topic: string): Promise<number> => {
        client.send(publishPacket(topic, 'x', { qos: 1, packetId: 1 }))
        return (await client.expect(PacketType.PUBACK)).reasonCode
      }
      assert.equal(await publish(ann, 'all/a'), 0x87)
      assert.equal(await publish(bob, 'ann/own/a'), 0x87)
      assert.notEqual(await publish(bob, 'bob/own/a'), 0x87)
      await bob.subscribe('#')
      // Who may not have the first gets the second alone.
      assert.notEqual(await publish(ann, 'in'), 0x87)
      bob.send(publishPacket('bob/own/a', 'mine'))
      assert.equal(await bob.message(), 'bob/own/a mine')
      writeFileSync(file, 'user bob\ntopic read in\nuser ann\ntopic in\n')
      served.child.kill('SIGHUP')
      await served.line('2 lines of the ACL file')
      assert.equal(await publish(ann, 'ann/own/a'), 0x87)
      ann.send(publishPacket('in', 'now'))
      assert.equal(await bob.message(), 'in now')
      for (const client of [ann, bob]) client.destroy()
    })
    writeFileSync(file, 'topik a\n')
    const check = [GODWIT, 'serve', '--check', '--acl-file', file]
    const { code, errors } = await run(process.execPath, check)
    assert.equal(code, 2)
    assert.match(errors, /acl:1: expected user, topic or pattern, got "topik"/)
  })
})

test('the name of a certificate is the user name, without one it takes a password', async () => {
  const authority = await Authority.create('serve test')
  await withFolder(async folder => {
    const write = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const [server, ann] = [
      await authority.issue({ commonName: 'server' }),
      await authority.issue({ commonName: 'ann' }),
    ]
    const password = Buffer.from('secret')
    const tls = [
      ...['--tls-cert', write('crt', server.cert), '--tls-key', write('key', server.key)],
      ...['--tls-ca', write('ca', authority.cert), '--tls-client', 'optional'],
      ...['--tls-port', '0', '--tls-user-names'],
    ]
    const acl = ['--acl-file', write('acl', 'pattern %u/#\n')]
    const come = async (
      port: number,
      certificate: { readonly cert: string; readonly key: string } | null,
      names: Parameters<RawClient['connect']>[0],
    ): Promise<{ client: RawClient; reasonCode: number }> => {
      const host = '127.0.0.1'
      const client = new RawClient(connectTls({ port, host, ca: authority.cert, ...certificate }))
      const { reasonCode } = await client.connect(names)
      return { client, reasonCode }
    }
    await withServed([...tls, ...acl], async (_served, [port = 0]) => {
      const { client, reasonCode } = await come(port, ann, { clientId: 'c', username: 'bob' })
      assert.equal(reasonCode, 0)
      for (const [topic, expected] of [
        ['ann/x', 0x10],
        ['bob/x', 0x87],
      ] as const) {
        client.send(publishPacket(topic, 'x', { qos: 1, packetId: 1 }))
        assert.equal((await client.expect(PacketType.PUBACK)).reasonCode, expected, topic)
      }
      client.destroy()
      const stranger = await come(port, null, { clientId: 'd', username: 'ann' })
      assert.equal(stranger.reasonCode, 0x87, 'the name of a certificate, without it')
    })
    const file = write('passwords', `bob:${await hashPassword(password, 'sha512')}\n`)
    const both = [...tls, ...acl, '--password-file', file]
    await withServed(both, async (_served, [port = 0]) => {
      const bob = await come(port, null, { clientId: 'd', username: 'bob', password })
      assert.equal(bob.reasonCode, 0)
      bob.client.destroy()
      const wrong = await come(port, null, { clientId: 'd', username: 'ann', password })
      assert.equal(wrong.reasonCode, 0x87)
    })
    const none = [GODWIT, 'serve', '--check', '--port', '0', '--tls-user-names']
    const { code, errors } = await run(process.execPath, none)
    assert.equal(code, 2)
    assert.match(errors, /user names of certificates need a listener that asks clients for them/)
  })
})

test('several listeners at once: TCP, WebSocket and a Unix socket', async () => {
  await withFolder(async folder => {
    const path = join(folder, 'mqtt.sock')
    await withServed(
      ['--port', '0', '--ws-port', '0', '--unix', path],
      async (served, [port = 0]) => {
        assert.deepEqual(
          served.urls.map(url => url.slice(0, url.indexOf(':'))),
          ['mqtt', 'ws', 'unix'],
        )
        const local = new RawClient(connectTcp(path))
        await local.connect({ clientId: 'local' })
        await local.subscribe('t')
        const client = RawClient.tcp(port)
        await client.connect({ clientId: 'tcp' })
        client.send(publishPacket('t', 'across'))
        assert.equal(await local.message(), 't across')
        for (const one of [local, client]) one.destroy()
      },
    )
  })
})

test('SIGHUP reads certificates again', async () => {
  const authority = await Authority.create('serve test')
  await withFolder(async folder => {
    const files = { cert: join(folder, 'server.crt'), key: join(folder, 'server.key') }
    const install = async (commonName: string): Promise<void> => {
      const { cert, key } = await authority.issue({ commonName })
      writeFileSync(files.cert, cert)
      writeFileSync(files.key, key)
    }
    const nameOfServer = (port: number): Promise<string | string[] | undefined> => {
      const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert })
      return new Promise((resolve, reject) => {
        socket.on('error', reject)
        socket.on('secureConnect', () => {
          resolve(socket.getPeerCertificate().subject.CN)
          socket.destroy()
        })
      })
    }
    await install('old')
    const args = ['--tls-cert', files.cert, '--tls-key', files.key, '--tls-port', '0']
    await withServed(args, async (served, [port = 0]) => {
      assert.equal(await nameOfServer(port), 'old')
      await install('new')
      served.child.kill('SIGHUP')
      await served.line('read again')
      assert.equal(await nameOfServer(port), 'new')
      writeFileSync(files.cert, 'rubbish')
      served.child.kill('SIGHUP')
      await served.line('could not be read again')
      assert.equal(await nameOfServer(port), 'new')
    })
  })
})

test('signals that scripts send to Mosquitto open no debugger and end nothing', async () => {
  await withServed(['--port', '0'], async (served, [port = 0]) => {
    let errors = ''
    served.child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    served.child.kill('SIGUSR1')
    await served.line('SIGUSR1: there is nothing to save')
    served.child.kill('SIGUSR2')
    await served.line('SIGUSR2: it is for nothing here')
    const client = RawClient.tcp(port)
    assert.equal((await client.connect()).reasonCode, 0)
    client.destroy()
    assert.equal(errors, '')
  })
})

test('SIGHUP without certificates and passwords says that there is nothing to read', async () => {
  await withServed(['--port', '0'], async served => {
    served.child.kill('SIGHUP')
    await served.line('SIGHUP: there are neither certificates nor passwords')
    assert.ok(!served.lines.some(line => line.includes('were read again')))
  })
})

test('a certificate, key, CA or CRL that is none is named with its file', async () => {
  const authority = await Authority.create('serve test')
  await withFolder(async folder => {
    const write = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const [one, two] = [
      await authority.issue({ commonName: 'a' }),
      await authority.issue({ commonName: 'b' }),
    ]
    const files = {
      cert: write('a.crt', one.cert),
      key: write('a.key', one.key),
      other: write('b.key', two.key),
      ca: write('ca.crt', authority.cert),
    }
    const { cert, key, other, ca } = files
    for (const [flags, said] of [
      [['--tls-cert', key, '--tls-key', key], /certFile .*a\.key: expected a certificate in PEM/],
      [['--tls-cert', cert, '--tls-key', cert], /keyFile .*a\.crt: expected a private key in PEM/],
      [
        ['--tls-cert', cert, '--tls-key', other],
        /keyFile .*b\.key: expected the private key of .*a\.crt/,
      ],
      [
        ['--tls-cert', cert, '--tls-key', key, '--tls-ca', key],
        /caFile .*a\.key: expected certificates/,
      ],
      [
        ['--tls-cert', cert, '--tls-key', key, '--tls-ca', ca, '--tls-crl', cert],
        /crlFile .*a\.crt: expected a list of revoked certificates/,
      ],
    ] as const) {
      const args = [GODWIT, 'serve', '--data', 'none', '--tls-port', '0', ...flags]
      const { code, errors } = await run(process.execPath, args)
      assert.equal(code, 2)
      assert.match(errors, said)
      assert.equal(errors.trimEnd().split('\n').length, 1, errors)
    }
  })
})

test('a directory that another broker has is named once, with exit code 73', async () => {
  await withFolder(async folder => {
    const data = join(folder, 'data')
    const first = await serve(['--data', data, '--port', '0'])
    try {
      const args = [GODWIT, 'serve', '--data', data, '--port', '0']
      const { code, output, errors } = await run(process.execPath, args)
      assert.equal(code, 73)
      assert.equal(errors, '')
      assert.equal(output.split('is in use by process').length, 2, output)
      const broker = createBroker({ store: { directory: data } })
      await assert.rejects(broker.ready, { code: 'locked' })
      assert.throws(() => broker.publish('a', 'x'), { code: 'locked', message: /is in use by/ })
      assert.throws(() => broker.connect(), { code: 'locked' })
      await broker.close()
    } finally {
      await first.stop()
    }
  })
})

test('a configuration file makes the broker, flags come before it', async () => {
  await withFolder(async folder => {
    const config = join(folder, 'godwit.yaml')
    writeFileSync(
      config,
      'listeners:\n  - port: 0\nlimits:\n  receiveMaximum: 7\n  inflightMax: 3\n',
    )
    await withServed(['--config', config, '--max-receive', '9'], async (_served, [port = 0]) => {
      const client = RawClient.tcp(port)
      assert.equal((await client.connect()).properties.receiveMaximum, 9)
      client.destroy()
    })
  })
})

test('an address that is taken is said, with exit code 1', async () => {
  await withServed(['--port', '0'], async (_served, [port = 0]) => {
    const args = [GODWIT, 'serve', '--data', 'none', '--port', String(port)]
    const { code, output, errors } = await run(process.execPath, args)
    assert.equal(code, 1)
    assert.match(output + errors, new RegExp(`port ${port} is in use`))
    assert.doesNotMatch(output + errors, /stack|at Server/)
  })
})

test('metrics and health are where --metrics-port says, and the log says where', async () => {
  await withServed(['--port', '0', '--metrics-port', '0'], async served => {
    const line = await served.line('metrics are on')
    assert.match(line, /this machine only/)
    const url = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(line)?.[0] ?? ''
    assert.match(await (await fetch(url)).text(), /^godwit_clients_connected 0$/m)
    const ready = await fetch(url.replace('/metrics', '/readyz'))
    assert.equal(ready.status, 200)
    await ready.text()
    assert.equal(await served.stop(), 0, 'who collects does not hold the end up')
  })
})

test('a port for metrics that is taken is said, with exit code 1', async () => {
  await withServed(['--port', '0'], async (_served, [port = 0]) => {
    const where = ['--port', '0', '--metrics-port', String(port)]
    const args = [GODWIT, 'serve', '--data', 'none', ...where]
    const { code, output, errors } = await run(process.execPath, args)
    assert.equal(code, 1)
    assert.match(output + errors, new RegExp(`metrics: port ${port} is in use`))
    assert.doesNotMatch(output + errors, /stack|at Server|listening on/)
  })
})

test('metrics in the configuration file are checked and served, with all else', async () => {
  await withFolder(async folder => {
    const config = join(folder, 'godwit.yaml')
    const check = [GODWIT, 'serve', '--config', config, '--check']
    writeFileSync(config, "metrics:\n  port: 1\n  host: ''\n")
    const wrong = await run(process.execPath, check)
    assert.equal(wrong.code, 2)
    assert.match(wrong.errors, /godwit\.yaml:3:3: metrics\.host: expected a text that is not empty/)
    writeFileSync(config, 'listeners:\n  - port: 0\nmetrics:\n  port: 0\n')
    assert.equal((await run(process.execPath, check)).code, 0)
    await withServed(['--config', config], async served => {
      assert.match(await served.line('metrics are on'), /http:\/\/127\.0\.0\.1/)
    })
  })
})

test('a directory that cannot hold a store is named, with exit code 74', async () => {
  const args = [GODWIT, 'serve', '--port', '0', '--data', GODWIT]
  const { code, output, errors } = await run(process.execPath, args)
  assert.equal(code, 74)
  assert.match(output + errors, /godwit\.js cannot hold a store: ENOTDIR/)
  assert.doesNotMatch(output + errors, /stack/)
})

for (const [what, yaml, code, said] of [
  ['a good file', 'listeners:\n  - port: 0\n', 0, /is valid/],
  ['an unknown field', 'prot: 1\n', 2, /godwit\.yaml:1:1: prot: there is no such field/],
  [
    'a limit out of its range',
    'dump: false\nlimits:\n  receiveMaximum: 0\n',
    2,
    /godwit\.yaml:3:3: limits\.receiveMaximum: expected a whole number from 1 to 65535/,
  ],
  [
    'a certificate that is not there',
    'listeners:\n  - port: 0\n  - tls: { certFile: no.crt, keyFile: no.key }\n',
    2,
    /godwit\.yaml:3:5: listen\.tls: certFile no\.crt: ENOENT/,
  ],
  ['no YAML', 'limits: {\n', 2, /godwit\.yaml:\d+:\d+: /],
] as const) {
  test(`serve --check of ${what} gives exit code ${code} and the place`, async () => {
    await withFolder(async folder => {
      const config = join(folder, 'godwit.yaml')
      writeFileSync(config, yaml)
      const args = [GODWIT, 'serve', '--check', '--data', 'none', '--config', config]
      const result = await run(process.execPath, args)
      assert.equal(result.code, code, result.errors)
      assert.match(result.output + result.errors, said)
    })
  })
}

for (const [args, said] of [
  [['--port', 'mqtt'], /--port takes a port/],
  [['--nonsense'], /unknown option/],
  [['--config', '/nowhere.yaml'], /cannot be read/],
  [['--tls-cert', 'x'], /go together/],
] as const) {
  test(`usage is told with exit code 2: ${args.join(' ')}`, async () => {
    const result = await run(process.execPath, [GODWIT, 'serve', ...args])
    assert.equal(result.code, 2)
    assert.match(result.errors, said)
  })
}
