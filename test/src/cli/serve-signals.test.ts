// Signals that come while `godwit serve` still starts: a password file that is a pipe holds the
// start where the test wants it.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { GODWIT } from '../support/served.ts'

class Starting {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
  readonly data: string
  output = ''
  private readonly pipe: string
  private look: () => void = () => undefined

  constructor(folder: string) {
    this.pipe = join(folder, 'passwords')
    this.data = join(folder, 'data')
    assert.equal(spawnSync('mkfifo', [this.pipe]).status, 0)
    const args = ['serve', '--json', '--port', '0', '--data', this.data]
    this.child = spawn(process.execPath, [GODWIT, ...args, '--password-file', this.pipe], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    })
    const take = (chunk: Buffer): void => {
      this.output += chunk.toString()
      this.look()
    }
    this.child.stdout?.on('data', take)
    this.child.stderr?.on('data', take)
    this.ended = new Promise(resolve => {
      this.child.on('close', (code, signal) => resolve({ code, signal }))
    })
  }

  /** Resolves when it reads the password file, and waits for what is in it. */
  reads(): Promise<FileHandle> {
    const died = this.ended.then(({ code, signal }) => {
      throw new Error(`it has ended with ${code ?? signal}: ${this.output}`)
    })
    return Promise.race([open(this.pipe, 'w'), died])
  }

  /** Resolves when it has said so. */
  said(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.look = () => {
        if (this.output.includes(text)) resolve()
      }
      void this.ended.then(() => reject(new Error(`it has ended: ${this.output}`)))
      this.look()
    })
  }

  count(text: string): number {
    return this.output.split(text).length - 1
  }
}

async function withStarting(use: (starting: Starting) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-signals-'))
  const starting = new Starting(folder)
  try {
    await use(starting)
  } finally {
    starting.child.kill('SIGKILL')
    // Whoever waits for a reader has one now.
    const reader = await open(join(folder, 'passwords'), 'r+')
    await reader.close()
    await starting.ended
    rmSync(folder, { recursive: true })
  }
}

test('SIGHUP during the start ends nothing, and is done once when it has started', async () => {
  await withStarting(async starting => {
    const first = await starting.reads()
    starting.child.kill('SIGHUP')
    starting.child.kill('SIGHUP')
    await first.close()
    // Before it has read to the end, whoever opens the pipe again writes to the first reader.
    await starting.said('listening on')
    const second = await starting.reads()
    await second.close()
    starting.child.kill('SIGUSR1')
    await starting.said('SIGUSR1')
    assert.equal(starting.count('users have a password'), 2)
    starting.child.kill('SIGTERM')
    assert.deepEqual(await starting.ended, { code: 0, signal: null })
  })
})

for (const name of ['SIGTERM', 'SIGINT'] as const) {
  test(`${name} during the start ends it in order: exit code 0, and the store let go`, async () => {
    await withStarting(async starting => {
      const first = await starting.reads()
      starting.child.kill(name)
      await first.close()
      assert.deepEqual(await starting.ended, { code: 0, signal: null })
      assert.ok(starting.output.includes(`${name}: stopping`), starting.output)
      assert.ok(starting.output.includes('stopped'), starting.output)
      assert.ok(!starting.output.includes('listening on'), starting.output)
      assert.ok(existsSync(join(starting.data, 'state.db')))
      assert.ok(!existsSync(join(starting.data, 'lock')))
    })
  })
}

test('a second signal during the start ends it at once', async () => {
  await withStarting(async starting => {
    const first = await starting.reads()
    starting.child.kill('SIGTERM')
    starting.child.kill('SIGINT')
    await first.close()
    assert.deepEqual(await starting.ended, { code: 1, signal: null })
  })
})
