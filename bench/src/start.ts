// How long the command takes to start: wall time and processor time of several runs each, beside a
// Node that does nothing. The goal is 150 ms of wall time on a machine that does nothing else.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url))
const RUNS = 15
const GOAL_MS = 150

const Commands: Readonly<Record<string, readonly string[]>> = {
  'node -e 0': ['-e', '0'],
  'godwit --version': [GODWIT, '--version'],
  'godwit --help': [GODWIT, '--help'],
  'godwit pub --help': [GODWIT, 'pub', '--help'],
  // Nothing listens there: all but the network is done.
  'godwit pub, refused': [GODWIT, 'pub', '-p', '1', 'a', 'b'],
  'godwit sub, refused': [GODWIT, 'sub', '-p', '1', 'a'],
  'godwit serve --check': [GODWIT, 'serve', '--check', '--data', 'none'],
  'godwit bench load --help': [GODWIT, 'bench', 'load', '--help'],
  'godwit passwd --help': [GODWIT, 'passwd', '--help'],
}

export function run(): void {
  console.log(`${RUNS} runs each; wall time in ms; the goal is ${GOAL_MS}`)
  console.log(`${'command'.padEnd(26)}${'least'.padStart(8)}${'median'.padStart(8)}`)
  for (const [name, args] of Object.entries(Commands)) {
    const times: number[] = []
    for (let i = 0; i < RUNS; i++) {
      const started = performance.now()
      spawnSync(process.execPath, args, { stdio: 'ignore' })
      times.push(performance.now() - started)
    }
    times.sort((a, b) => a - b)
    const [least = 0] = times
    const median = times[times.length >> 1] ?? 0
    console.log(name.padEnd(26) + least.toFixed(0).padStart(8) + median.toFixed(0).padStart(8))
  }
}
