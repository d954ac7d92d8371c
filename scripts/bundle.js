// Bundles what the command starts with: all but the testers read a file or two instead of
// a hundred, which is a third of their start. The broker, the testers and third-party packages stay
// outside. bin/godwit.js takes the bundle only while nothing was compiled after it.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { ROOT } from './sources.js'

const FOLDER = join(ROOT, 'packages/cli/dist')

/** @returns {Promise<void>} */
export async function bundleCommand() {
  rmSync(join(FOLDER, 'bundle'), { recursive: true, force: true })
  await build({
    entryPoints: { godwit: join(FOLDER, 'start.js') },
    outdir: FOLDER,
    chunkNames: 'bundle/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: [
      './bench/*',
      '@godwit/broker',
      'commander',
      'picocolors',
      'pino',
      'pino-pretty',
      'yaml',
      'zod',
    ],
    logLevel: 'warning',
  })
}
