// The micro-benchmarks by name: `npm run bench -- matching`. Without a name it lists them.

const BENCHMARKS: Readonly<Record<string, () => Promise<{ run(): void | Promise<void> }>>> = {
  client: () => import('./client.ts'),
  codec: () => import('./codec.ts'),
  connect: () => import('./connect.ts'),
  floor: () => import('./floor.ts'),
  matching: () => import('./matching.ts'),
  returning: () => import('./returning.ts'),
  start: () => import('./start.ts'),
  store: () => import('./store.ts'),
  stored: () => import('./stored.ts'),
}

const name = process.argv[2]
const benchmark = name === undefined ? undefined : BENCHMARKS[name]
if (benchmark === undefined) {
  console.log(
    `usage: npm run bench -- NAME, with NAME one of ${Object.keys(BENCHMARKS).join(', ')}`,
  )
  process.exitCode = name === undefined ? 0 : 2
} else await (await benchmark()).run()
