// Compiles every project with tsc, after removing what an earlier build left of deleted sources.
// It prints only errors. Arguments go to tsc.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, staleFiles } from './sources.js'

const COMMAND = join(ROOT, 'packages/cli/dist/main.js')

for (const path of staleFiles()) rmSync(join(ROOT, path))

const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
const args = [tsc, '-b', ...process.argv.slice(2)]
const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' })

// tsc writes files without the executable bit, and npm links the command before it exists.
if (existsSync(COMMAND)) chmodSync(COMMAND, 0o755)
process.exitCode = status ?? 1
