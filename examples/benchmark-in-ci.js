// A benchmark as a step of CI: three trials with goals, then a comparison with the result of the
// last good build. The exit code is that of the first command that fails: 1 when messages were
// lost, 4 when a goal was missed or something became slower.
//
//   node examples/benchmark-in-ci.js HOST:PORT [folder for results]
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const GODWIT = fileURLToPath(new URL('../packages/cli/bin/godwit.js', import.meta.url))
const [broker = 'localhost:1883', folder = 'bench-results'] = process.argv.slice(2)
const seconds = process.env.BENCH_SECONDS ?? '10'

/** @param {string[]} words */
function bench(...words) {
  const { status } = spawnSync(process.execPath, [GODWIT, 'bench', ...words], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

mkdirSync(folder, { recursive: true })
const result = join(folder, 'current.json')
const baseline = join(folder, 'baseline.json')

bench(
  ...['load', '--host', broker, '--publishers', '20', '--qos', '1'],
  ...['--rate', '2k/s', '--arrival', 'poisson', '--warmup', '1s', '--duration', `${seconds}s`],
  ...['--trials', '3', '--seed', '1'],
  // Goals that hold on any machine; tighten them on yours.
  ...['--slo', 'response.p50 < 5s', '--slo', 'delivery.lost == 0'],
  ...['--output', result, '--html', join(folder, 'current.html')],
)
if (existsSync(baseline)) {
  bench('compare', baseline, result, '--threshold', '10%', '--fail-on', 'rate.received < -50%')
}
// What has passed is what the next build is compared with.
copyFileSync(result, baseline)
