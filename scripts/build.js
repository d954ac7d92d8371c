// Compiles every project with tsc, after removing what an earlier build left of deleted sources,
// and bundles the command and the client for web pages.
// It prints only errors. Arguments go to tsc.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { bundleCommand } from './bundle.js'
import { ROOT, staleFiles } from './sources.js'
import { buildForWeb } from './web.js'

for (const path of staleFiles()) rmSync(join(ROOT, path))

const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
const args = [tsc, '-b', ...process.argv.slice(2)]
const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' })

if (status === 0) await Promise.all([bundleCommand(), buildForWeb()])
process.exitCode = status ?? 1
