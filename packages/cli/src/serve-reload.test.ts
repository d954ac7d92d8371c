// What SIGHUP takes over of a configuration file that has changed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from './config-file.ts'
import { AccessSet } from './serve-access.ts'
import { applyFlags, type ReadyConfig } from './serve-flags.ts'
import { type Reloaded, reload } from './serve-reload.ts'
import { noting } from './testing/access-file.ts'
import { comer } from './testing/comer.ts'

interface Running {
  /** The file has changed, and SIGHUP comes. @returns what is logged */
  reload(yaml: string): Promise<readonly string[]>
  comes(listener: string, clientId?: string): Promise<boolean>
}

function ignore(): void {
  // There is no broker whose clients are to be asked again.
}

function configOf(yaml: string): ReadyConfig {
  return applyFlags(parseConfig(yaml, 'x.yaml').config, {})
}

function running(yaml: string): Running {
  let config = configOf(yaml)
  const access = new AccessSet(config)
  const broker = { permissionsChanged: ignore, reloadCertificates: ignore }
  return {
    reload: async changed => {
      const log = noting()
      const read = (): ReturnType<NonNullable<Reloaded['read']>> =>
        Promise.resolve({ config: configOf(changed), notes: [] })
      config = await reload({ broker, access, config, read, reopenLog: null, log }, config)
      return log.lines
    },
    comes: async (listener, clientId = 'c') =>
      (await access.authenticate(comer({ listener, clientId }))) === true,
  }
}

test('a listener of another name or place in the file lets in whom it did before', async () => {
  for (const changed of [
    'listeners: [{ name: others, allowAnonymous: false }]',
    'listeners: [{ port: 1, allowAnonymous: true }, { allowAnonymous: false }]',
    '',
  ]) {
    for (const name of ['ours', 'listener 1']) {
      const own = name === 'ours' ? 'name: ours, ' : ''
      const serving = running(`listeners: [{ ${own}allowAnonymous: false }]`)
      assert.equal(await serving.comes(name), false)
      const lines = await serving.reload(changed)
      assert.equal(await serving.comes(name), false, `${name}: ${changed}`)
      assert.match(lines.join('\n'), /who may come in there stays as it was/)
      await serving.reload(`listeners: [{ ${own}allowAnonymous: true }]`)
      assert.equal(await serving.comes(name), true)
    }
  }
})

test('what holds for all opens no listener without a name that has its own now', async () => {
  for (const [options, name] of [
    ['', 'tcp'],
    ['ws: true', 'ws'],
    ['unix: /tmp/s', 'unix'],
  ] as const) {
    const serving = running(`allowAnonymous: false\nlisteners: [{ ${options} }]`)
    const comma = options === '' ? '' : ', '
    const lines = await serving.reload(`listeners: [{ ${options}${comma}allowAnonymous: false }]`)
    assert.equal(await serving.comes(name), false)
    assert.match(lines.join('\n'), /who may come in there stays as it was/)
    await serving.reload(`allowAnonymous: true\nlisteners: [{ ${options} }]`)
    assert.equal(await serving.comes(name), true)
  }
})

test('a prefix of client ids can be taken back', async () => {
  const serving = running('clientIdPrefix: a')
  await serving.reload('clientIdPrefix: b')
  assert.deepEqual(
    [await serving.comes('tcp', 'a'), await serving.comes('tcp', 'b')],
    [false, true],
  )
  await serving.reload('clientIdPrefix: a')
  assert.deepEqual(
    [await serving.comes('tcp', 'a'), await serving.comes('tcp', 'b')],
    [true, false],
  )
})
