// `godwit bench` as a process: what it prints, writes and ends with.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { ListenOptions } from '@godwit/broker'
import { until, withBroker } from '../support/brokers.ts'
import { makeCertificates } from '../support/certificates.ts'
import { type CommandResult, godwit, startGodwit } from '../support/godwit.ts'

const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string): string {
  return join(folder, name)
}

/** Runs a tester against a broker of its own. `{name}` is a file in our folder. */
async function bench(
  words: string,
  listen: ListenOptions = {},
  others: readonly string[] = [],
): Promise<CommandResult> {
  let result: CommandResult | undefined
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0, ...listen })
    const typed = words.split(' ').map(word => {
      return word.replace('PORT', String(port)).replace(/\{(.*)\}/, (_, name) => file(name))
    })
    result = await godwit('bench', ...typed, ...others)
  })
  assert.ok(result !== undefined)
  return result
}

test('ping prints what the Go program printed: times, messages, messages/sec', async () => {
  const { code, output, errors } = await bench('ping -host 127.0.0.1:PORT -pairs 5 -messages 20')
  assert.equal(code, 0, errors)
  assert.match(output, /time to establish connections: \d/)
  assert.match(output, /elapsed\s+\d/)
  assert.match(output, /messages\s+1 000 received, 200 sent/)
  assert.match(output, /\d messages\/sec/)
  assert.match(output, /min\/max\/mean\/stddev \d/)
  assert.match(output, /QoS 0 contract: met/)
  assert.match(errors, /bench ping .*5 pairs {2}20 wildcard subscribers/)
})

test('load writes JSON, CSV and a log of histograms, and report renders them again', async () => {
  const outputs = `--output {a.json} --csv {a.csv} --hdr {a.hdr}`
  const options = `load -p PORT -h 127.0.0.1 --conns 4 --rate 200/s --duration 2500ms ${outputs}`
  const { code, output, errors } = await bench(`${options} --slo delivery.lost==0`)
  assert.equal(code, 0, errors)
  assert.match(output, /slo\s+delivery\.lost==0\s+0\s+PASS/)
  const result = JSON.parse(readFileSync(file('a.json'), 'utf8'))
  assert.equal(result.format, 'godwit-bench')
  assert.equal(result.trials[0].delivery.lost, 0)
  assert.equal(result.broker.version, null)
  const [head = '', ...rows] = readFileSync(file('a.csv'), 'utf8').trim().split('\n')
  assert.ok(rows.length >= 3)
  for (const row of rows) assert.equal(row.split(',').length, head.split(',').length)
  assert.match(readFileSync(file('a.hdr'), 'utf8'), /^Tag=response,\d+\.\d+,\d+\.\d+,/m)
  const again = await godwit('bench', 'report', file('a.json'), '--csv', file('b.csv'))
  assert.equal(again.code, 0)
  assert.ok(again.output.includes(output.trim()))
  assert.equal(readFileSync(file('b.csv'), 'utf8'), readFileSync(file('a.csv'), 'utf8'))
})

test('a goal that is missed ends with 4', async () => {
  const { code, output } = await bench(
    'load -p PORT -h 127.0.0.1 --conns 2 --messages 10 --slo response.max<1us',
  )
  assert.equal(code, 4)
  assert.match(output, /FAIL/)
})

test('a tester that is saturated ends with 5 when it is strict, else with 0', async () => {
  // Something in its own process keeps the event loop for most of the time.
  const blocker = file('blocker.cjs')
  const block = 'const end = Date.now() + 80; while (Date.now() < end);'
  writeFileSync(blocker, `setInterval(() => { ${block} }, 100).unref()\n`)
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const words = ['--conns', '2', '--rate', '50/s', '--duration', '1s', '-p', String(port)]
    const env = { NODE_OPTIONS: `--require ${blocker}` }
    for (const [strict, expected] of [
      [['--strict'], 5],
      [[], 0],
    ] as const) {
      const all = ['bench', 'load', '-h', '127.0.0.1', ...words, ...strict]
      const { code, output, errors } = await startGodwit(all, { env }).result
      assert.match(output, /the tester was SATURATED: /)
      assert.equal(code, expected, output + errors)
    }
  })
})

test('--abort-on-slo ends a run when a goal is missed for three seconds', async () => {
  const goal = ['--slo', 'response.p99 < 1us', '--abort-on-slo']
  const options = 'load -p PORT -h 127.0.0.1 --conns 2 --rate 100/s --duration 1h'
  const { code, output } = await bench(options, {}, goal)
  assert.equal(code, 4, output)
  assert.match(output, /FAIL/)
})

test('the messages of --retain stay at the broker, and --dump prints every packet', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const where = ['-p', String(port), '-h', '127.0.0.1', '--keepalive', '7', '--no-spin']
    const words = ['--conns', '4', '--messages', '2', '--retain', '--dump', ...where]
    const { code, errors } = await godwit('bench', 'load', ...words)
    assert.equal(code, 0, errors)
    assert.equal(broker.stats().retainedMessages, 2)
    assert.match(errors, /CONNECT.*keepAlive.*7/i)
    assert.match(errors, /PUBLISH.*retain/i)
  })
})

test('retained messages are timed from the SUBSCRIBE, and the report says so', async () => {
  const { code, output } = await bench('load -p PORT --retained 20 --publishers 1 --subscribers 2')
  assert.equal(code, 0)
  assert.match(output, /response +40 .* from SUBSCRIBE to arrival\n/)
  assert.doesNotMatch(output, /closed loop/)
})

test('nobody who listens ends with 3, wrong options with 2', async () => {
  let port = 0
  await withBroker({}, async broker => {
    port = (await broker.listen({ port: 0 })).port
  })
  const { code, errors } = await godwit('bench', 'load', '-p', String(port), '-h', '127.0.0.1')
  assert.equal(code, 3)
  assert.match(errors, /100 of 100 connections failed: Connection refused: nothing listens at 127/)
  for (const words of [
    ['load', '--conns', '3'],
    ['load', '--what'],
    ['nothing'],
    ['compare', 'a'],
  ]) {
    const wrong = await godwit('bench', ...words)
    assert.equal(wrong.code, 2, words.join(' '))
    assert.match(wrong.errors, /Error: /)
  }
})

test('what other testers call it leads to what it is called here', async () => {
  for (const [typed, meant] of [
    ['conn', 'many'],
    ['pub', 'load'],
    ['lode', 'load'],
  ] as const) {
    const { code, errors } = await godwit('bench', typed, '-c', '100')
    assert.equal(code, 2)
    assert.match(errors, new RegExp(`not "${typed}": try godwit bench ${meant}`))
  }
})

test('help is there for each command, with examples', async () => {
  const overview = await godwit('bench', '--help')
  assert.equal(overview.code, 0)
  assert.match(overview.output, /Exit codes: 0 all well, 1 messages lost/)
  for (const command of ['ping', 'load', 'many', 'compare', 'report', 'compare-brokers']) {
    const { code, output } = await godwit('bench', command, '--help')
    assert.equal(code, 0)
    assert.match(output, /Examples:\n {2}godwit bench /)
  }
})

test('Ctrl-C ends the run and its report is still written', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const words = ['--conns', '4', '--rate', '100/s', '--duration', '1h', '-o', file('c.json')]
    const where = ['-p', String(port), '-h', '127.0.0.1']
    const { child, result } = startGodwit(['bench', 'load', ...where, ...words])
    await until(() => broker.stats().messagesReceived >= 30, 'thirty messages')
    child.kill('SIGINT')
    const { code, output } = await result
    assert.equal(code, 130)
    assert.match(output, /interrupted: the figures are up to then/)
    const { trials } = JSON.parse(readFileSync(file('c.json'), 'utf8'))
    assert.ok(trials[0].delivery.received >= 20)
    assert.equal(trials[0].wasInterrupted, true)
  })
})

for (const [words, said] of [
  ['load --conns 4 --rate 100/s --duration 1h --processes 2', /interrupted: the figures are up to/],
  ['ping --pairs 2 --wsubs 2 --messages 1000000 --processes 2', /interrupted: the figures/],
  [
    'many --conns 20 --wait 0 --pace 1 --hold 1h --qos 1',
    /20 sessions for .*\n(?:.*\n)*.*is alive/,
  ],
  ['many --conns 20 --wait 0 --pace 1 --hold 1h --processes 2', /20 sessions for/],
] as const) {
  test(`Ctrl-C reaches every process and ends with the report: ${words}`, async () => {
    await withBroker({}, async broker => {
      const { port } = await broker.listen({ port: 0 })
      const all = ['bench', ...words.split(' '), '-p', String(port), '-h', '127.0.0.1']
      const { child, result } = startGodwit(all, { detached: true })
      await until(() => broker.stats().messagesReceived >= 30, 'thirty messages')
      process.kill(-(child.pid ?? 0), 'SIGINT')
      const { code, output, errors } = await result
      assert.equal(code, 130, errors)
      assert.match(output, said)
    })
  })
}

for (const processes of ['1', '2']) {
  test(`Ctrl-C while many connects reports what there is, ${processes} processes`, async () => {
    await withBroker({}, async broker => {
      const { port } = await broker.listen({ port: 0 })
      const many = ['bench', 'many', '--conns', '100000', '--wait', '20', '--no-preflight']
      const where = ['-p', String(port), '-h', '127.0.0.1', '--json', '--hold', '1h']
      const words = [...many, ...where, '--processes', processes]
      const { child, result } = startGodwit(words, { detached: true })
      await until(() => broker.stats().sessions >= 20, 'twenty sessions')
      process.kill(-(child.pid ?? 0), 'SIGINT')
      const { code, output, errors } = await result
      assert.equal(code, 130, errors)
      const [trial] = JSON.parse(output).trials
      assert.equal(trial.wasInterrupted, true)
      assert.ok(trial.connect.connected >= 20)
      assert.ok(trial.connect.connected < 100_000)
      assert.equal(trial.delivery.lost, 0, 'all that were opened are alive')
    })
  })
}

for (const words of ['many --conns 20', 'load --conns 20', 'ping --pairs 10']) {
  test(`Ctrl-C before anybody has answered writes a report too: ${words}`, async () => {
    let connections = 0
    const sockets = new Set<Socket>()
    const silent = createServer(socket => {
      connections++
      sockets.add(socket.on('error', () => undefined))
    })
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const name = file(`silent-${words.slice(0, 4)}.json`)
    const where = ['-p', String(port), '-h', '127.0.0.1', '-o', name]
    const { child, result } = startGodwit(['bench', ...words.split(' '), ...where])
    // One of them asked for the version.
    await until(() => connections >= 2, 'two connections')
    child.kill('SIGINT')
    const { code, output, errors } = await result
    for (const socket of sockets) socket.destroy()
    silent.close()
    assert.equal(code, 130, errors)
    assert.match(output, /interrupted/)
    assert.doesNotMatch(errors, /Error/)
    const { trials, exitCode } = JSON.parse(readFileSync(name, 'utf8'))
    assert.deepEqual([trials[0].connect.connected, exitCode], [0, 130])
  })
}

test('Ctrl-C ends the search for the capacity with what it has found', async () => {
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const goal = ['--find-capacity', 'response.p99 < 100s', '--rate', '50/s', '--step', '2s']
    const where = ['-p', String(port), '-h', '127.0.0.1', '-o', file('search.json')]
    const { child, result } = startGodwit(['bench', 'load', '--conns', '2', ...goal, ...where])
    await until(() => broker.stats().messagesReceived >= 150, 'a step and a half')
    child.kill('SIGINT')
    const { code, output, errors } = await result
    assert.equal(code, 130, errors)
    assert.match(output, /^ {2}50\/s /m)
    assert.match(output, /interrupted: there may be more/)
    const { capacity } = JSON.parse(readFileSync(file('search.json'), 'utf8'))
    assert.equal(capacity.wasInterrupted, true)
    assert.equal(capacity.steps[0].rate, 50)
  })
})

test('two results are compared with a verdict, and a limit for a change ends with 4', async () => {
  const options = 'load -p PORT -h 127.0.0.1 --conns 4 --messages 200 --trials 3'
  const small = await bench(`${options} --size 64 --output {small.json}`)
  const large = await bench(`${options} --size 4k --output {large.json}`)
  assert.deepEqual([small.code, large.code], [0, 0])
  const words = [file('small.json'), file('large.json'), '--html', file('d.html')]
  const { code, output } = await godwit('bench', 'compare', ...words)
  assert.equal(code, 0)
  assert.match(output, /not same {4}payload/)
  assert.match(output, /rate\.received .* % to .* (?:WORSE|unsure|better|no change)/)
  const limit = ['--fail-on', 'rate.received > -1000000%']
  const failed = await godwit('bench', 'compare', ...words, ...limit)
  assert.equal(failed.code, 4)
  assert.match(failed.output, /FAIL .*rate\.received/)
})

test('a full disk costs one report and none of the others, and the result is printed', async () => {
  const reports = '--output /dev/full --csv {full.csv} --hdr {full.hdr}'
  const { code, output, errors } = await bench(
    `load -p PORT -h 127.0.0.1 --conns 2 --messages 10 --quiet ${reports}`,
  )
  assert.equal(code, 1)
  assert.match(output, /QoS 0 contract: met/)
  assert.match(errors, /\/dev\/full cannot be written \(ENOSPC\); written: .*full\.csv .*full\.hdr/)
  assert.match(readFileSync(file('full.csv'), 'utf8'), /^trial,from_s/)
})

test('where a comparison cannot write is found out before it, without a stack', async () => {
  await bench('load -p PORT -h 127.0.0.1 --conns 2 --messages 10 --output {one.json}')
  const words = ['compare', file('one.json'), file('one.json'), '--html', '/proc/no/x.html']
  const two = await godwit('bench', ...words)
  assert.deepEqual([two.code, two.output], [2, ''])
  assert.match(two.errors, /^Error: --html: \/proc\/no\/x\.html cannot be written/)
  const within = join(file('one.json'), 'folder')
  const all = await godwit('bench', 'compare-brokers', '--output', within)
  assert.deepEqual([all.code, all.output], [2, ''])
  assert.match(all.errors, /^Error: --output: .*folder takes no files \(ENOTDIR\)/)
})

test('the report of many sessions is printed again as it was, and so is its page', async () => {
  const options = '--conns 10 --wait 0 --pace 0.3 --hold 1s --qos 1 --quiet'
  const first = await bench(`many -h 127.0.0.1 -p PORT ${options} --output {many.json}`)
  assert.equal(first.code, 0, first.errors)
  assert.match(first.output, /answers +\d+ of \d+ +p50/)
  const again = await godwit('bench', 'report', file('many.json'), '--html', file('many.html'))
  assert.equal(again.output.split('\n').slice(1).join('\n'), first.output)
  const page = readFileSync(file('many.html'), 'utf8')
  assert.match(page, /<span>alive<\/span><b>10<\/b>\s*<small>of 10: every session is alive/)
  assert.match(page, /Time to the answer, second by second/)
  assert.doesNotMatch(page, /<span>(?:received|lost)<\/span>/)
})

test('a file that is no result is refused by name', async () => {
  writeFileSync(file('other.json'), '{"format":"other"}')
  const { code, errors } = await godwit('bench', 'report', file('other.json'))
  assert.equal(code, 2)
  assert.match(errors, /other\.json is no result of godwit bench/)
  assert.equal((await godwit('bench', 'report', file('absent.json'))).code, 2)
})

test('--json prints the result and nothing else, and no password is in it', async () => {
  const options = 'load --url mqtt://me:secret@127.0.0.1:PORT --conns 2 --messages 5 --json --quiet'
  const { code, output, errors } = await bench(options)
  assert.equal(code, 0, errors)
  assert.equal(errors, '')
  assert.equal(JSON.parse(output).trials.length, 1)
  assert.doesNotMatch(output, /secret/)
})

test('over TLS with an authority of our own, and not without it', async () => {
  const { ca, server } = await makeCertificates()
  writeFileSync(file('ca.pem'), ca)
  const words = 'load -L mqtts://localhost:PORT --conns 4 --messages 50 --qos 1'
  const trusted = await bench(`${words} --cafile {ca.pem}`, { tls: server })
  assert.equal(trusted.code, 0, trusted.errors)
  assert.match(trusted.output, /100 received/)
  const web = await bench(`${words.replace('mqtts', 'wss')} --cafile {ca.pem}`, {
    tls: server,
    ws: true,
  })
  assert.equal(web.code, 0, web.errors)
  const unknown = await bench(words, { tls: server })
  assert.equal(unknown.code, 3)
  assert.match(unknown.errors, /certificate/)
  assert.equal((await bench(`${words} --insecure`, { tls: server })).code, 0)
})

test('many over WebSocket and TLS holds its sessions too', async () => {
  const { server } = await makeCertificates()
  const options = 'many -L wss://localhost:PORT --insecure --conns 5 --wait 0 --pace 200ms'
  const listen = { tls: server, ws: true }
  const { code, output, errors } = await bench(`${options} --hold 600ms --qos 1`, listen)
  assert.equal(code, 0, errors)
  assert.match(output, /every session is alive/)
})
