// Payloads that are not what was sent: what is found of each kind, and what is never blamed.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createBroker } from '@godwit/broker'
import { loadOf, noSignal, pingOf, SILENT } from '../testing/bench-settings.ts'
import { FaultyBroker } from '../testing/faulty-broker.ts'
import { runTrial } from './coordinator.ts'
import { filler, PayloadCheck, type PayloadPlan } from './payload-check.ts'
import { deliveryLines } from './report-text.ts'
import type { TrialResult } from './result.ts'
import { exitCodeOf } from './run.ts'
import { checkSlo, parseSlo } from './slo.ts'

type Damage = (number: number, payload: Uint8Array) => Uint8Array

const FAST = '--drain 300ms --timeout 300ms'
/** So slow that most messages are among the first of a read; how many depends on the machine. */
const SLOW = `--publishers 1 --rate 200/s --duration 500ms ${FAST}`

async function damagedBy(damage: Damage, options: string, qos: number) {
  const broker = await FaultyBroker.open({ payload: damage })
  try {
    const settings = loadOf(broker.port, `${options} --qos ${qos}`)
    return { trial: await runTrial(settings, SILENT, noSignal()), settings }
  } finally {
    await broker.close()
  }
}

/** Changes one bit of the last byte. */
const allFlipped: Damage = (_, payload) =>
  payload.map((byte, i) => (i === payload.length - 1 ? byte ^ 1 : byte))
/** Of each tenth message. */
const flipped: Damage = (number, payload) =>
  number % 10 === 3 ? allFlipped(number, payload) : payload
const shortened: Damage = (number, payload) =>
  number % 10 === 3 ? payload.subarray(0, payload.length - 1) : payload

const file = join(mkdtempSync(join(tmpdir(), 'godwit-')), 'payload')
writeFileSync(file, Buffer.from([0, 255, 10, 13, 128, 7]))
test.after(() => rmSync(join(file, '..'), { recursive: true }))

const PAYLOADS = [
  '--size 64',
  '--size 14',
  '--size 20..3000',
  '--payload fixed-é-text',
  '--payload {"n":{seq},"of":{client},"t":{time},"r":{random:1000}}',
  `--payload-file ${file}`,
  '--payload hello --plain',
  '--size 8',
]

for (const payload of PAYLOADS) {
  test(`${payload.replace(file, 'FILE')}: messages with another bit are found`, async () => {
    const { trial, settings } = await damagedBy(allFlipped, `${SLOW} ${payload}`, 1)
    const { delivery, counts, verdict } = trial
    assert.ok(counts.compared >= 4 && counts.compared <= 100, `${counts.compared}`)
    assert.ok(delivery.damaged >= 4 && delivery.damaged <= counts.compared, `${delivery.damaged}`)
    assert.equal(delivery.received, 100)
    assert.equal(verdict.contractMet, false)
    assert.equal(verdict.text, `QoS 1 contract: BROKEN (damaged ${delivery.damaged})`)
    assert.equal(exitCodeOf([trial], settings, null), 1)
    assert.equal(checkSlo(parseSlo('--slo', 'delivery.damaged == 0'), trial).met, false)
  })
}

for (const qos of [0, 1, 2]) {
  const flood = `--publishers 2 --messages 3000 ${FAST}`

  test(`QoS ${qos}: of a flood a part is compared, and the report says which`, async () => {
    const { trial, settings } = await damagedBy(flipped, flood, qos)
    const { delivery, counts } = trial
    assert.ok(delivery.damaged > 0 && delivery.damaged <= 600, `${delivery.damaged}`)
    assert.ok(counts.compared >= 6000 / 33 && counts.compared <= 6000, `${counts.compared}`)
    assert.equal(delivery.lost + delivery.duplicated + delivery.reordered, 0)
    assert.equal(exitCodeOf([trial], { ...settings, allowLoss: true }, null), 1)
    const text = deliveryLines(trial).join('\n')
    assert.match(text, /[\d ]+ of 6 000 payloads compared byte for byte: [\d ]+ are not what/)
  })

  test(`QoS ${qos}: payloads that are too short are all found, in a flood too`, async () => {
    const { trial } = await damagedBy(shortened, flood, qos)
    assert.equal(trial.delivery.damaged, 600)
  })
}

test('a message that comes on the topic of another is found', async () => {
  const deliverOn = (number: number, topic: string) => (number % 10 === 3 ? 't/other' : topic)
  const broker = await FaultyBroker.open({ deliverOn })
  const pace = '--rate 200/s --duration 500ms'
  const options = `--fan fan-in --publishers 2 --topic t/{client} --qos 1 ${pace} ${FAST}`
  const settings = loadOf(broker.port, options)
  const trial = await runTrial(settings, SILENT, noSignal())
  await broker.close()
  assert.ok(trial.delivery.damaged >= 5 && trial.delivery.damaged <= 10, trial.verdict.text)
  assert.equal(trial.delivery.lost, 0)
  assert.equal(exitCodeOf([trial], settings, null), 1)
})

test('a damage in the messages of one process is in the verdict of all', async () => {
  const { trial } = await damagedBy(allFlipped, `${SLOW} --processes 2`, 1)
  assert.ok(trial.delivery.damaged >= 4, `${trial.delivery.damaged}`)
  assert.equal(trial.verdict.contractMet, false)
})

async function byOurs(run: (port: number) => Promise<TrialResult>): Promise<TrialResult> {
  const broker = createBroker({ statsIntervalSeconds: 0 })
  const { port } = await broker.listen({ port: 0 })
  try {
    return await run(port)
  } finally {
    await broker.close({ drainSeconds: 0 })
  }
}

const HARMLESS = [
  ...PAYLOADS.map(payload => `--publishers 3 --messages 400 ${payload} --qos 1`),
  '--publishers 2 --messages 200 --payload {random:99}{seq}{random:9} --topic t/{random:5}',
  '--publishers 2 --messages 300 --payload a+(b)[c]{seq}|$ --processes 2',
  '--publishers 2 --messages 300 --payload {seq}0{seq}1{time}',
  '--retained 300 --publishers 2 --subscribers 2 --payload {client}/{seq} --qos 1',
  '--fan fan-out --subscribers 3 --messages 200 --size 0..40',
  '--fan fan-in --publishers 3 --messages 200 --topic é/{client}/{random:4} -V 311',
  '--publishers 3 --messages 100 --topic same --qos 1',
  '--fan shared --subscribers 3 --publishers 2 --messages 200 --size 100..70000 --qos 2',
]

for (const options of HARMLESS) {
  test(`nobody is blamed for ${options.replace(file, 'FILE')}`, async () => {
    const trial = await byOurs(port => runTrial(loadOf(port, options), SILENT, noSignal()))
    assert.equal(trial.delivery.damaged, 0)
    assert.ok(trial.counts.compared >= 10, `${trial.counts.compared}`)
    assert.equal(trial.verdict.contractMet, true, trial.verdict.text)
  })
}

test('nobody is blamed for pings and their answers', async () => {
  const options = '--pairs 3 --wsubs 2 --messages 200 --payload {seq}:{time}'
  const trial = await byOurs(port => runTrial(pingOf(port, options), SILENT, noSignal()))
  assert.equal(trial.delivery.damaged, 0)
  assert.ok(trial.counts.compared >= 1000, `${trial.counts.compared}`)
})

test('nobody is blamed for what was sent again after a storm', async () => {
  const payload = '--payload {"n":{seq}}'
  const storm = `--qos 1 --publishers 5 --rate 500/s --duration 1200ms ${payload}`
  const trial = await byOurs(port => {
    const settings = { ...loadOf(port, storm), storm: { share: 0.5, everyUs: 300e3 } }
    return runTrial({ ...settings, keepsSession: true }, SILENT, noSignal())
  })
  assert.ok(trial.counts.reconnects > 0)
  assert.equal(trial.delivery.damaged, 0, trial.verdict.text)
})

function check(payload: PayloadPlan): (bytes: Uint8Array, sequence?: number) => boolean {
  const one = new PayloadCheck(payload, true)
  return (bytes, sequence = -1) => {
    one.beginRead()
    return one.isDamaged(bytes, 0, bytes.length, sequence)
  }
}

test('a size that another message may have is told from it by its letters', () => {
  const isDamaged = check({ kind: 'size', bytesMin: 10, bytesMax: 100 })
  for (let size = 10; size <= 100; size++) assert.equal(isDamaged(filler(size)), false)
  assert.equal(isDamaged(filler(80).subarray(0, 60)), true)
  assert.equal(isDamaged(filler(9)), true)
  assert.equal(isDamaged(filler(101)), true)
})

test('a number in a payload must be that of its header', () => {
  const isDamaged = check({ kind: 'template', text: '{"n":{seq}}' })
  assert.equal(isDamaged(Buffer.from('{"n":12}'), 12), false)
  assert.equal(isDamaged(Buffer.from('{"n":12}'), 13), true)
  assert.equal(isDamaged(Buffer.from('{"n":1x}'), 1), true)
  assert.equal(isDamaged(Buffer.from('{"n":12'), 12), true)
})

test('a number is found among digits and other numbers', () => {
  const isDamaged = check({ kind: 'template', text: '{seq}0{seq}{random:9}' })
  assert.equal(isDamaged(Buffer.from('10001008'), 100), false)
  assert.equal(isDamaged(Buffer.from('10001018'), 100), true)
  assert.equal(isDamaged(Buffer.from('1000100'), 100), true)
  assert.equal(isDamaged(Buffer.from('10001018')), false)
})

test('nobody is blamed for a message that was retained before, with --plain', async () => {
  const trial = await byOurs(async port => {
    const leaving = '--plain --topic left --publishers 1 --messages 1 --retain --size 9'
    await runTrial(loadOf(port, leaving), SILENT, noSignal())
    const options = '--plain --topic left --publishers 1 --messages 20 --qos 2'
    return runTrial(loadOf(port, options), SILENT, noSignal())
  })
  assert.equal(trial.verdict.text, 'QoS 2 contract: met')
  assert.equal(trial.counts.received, 20)
})

test('of a read the first four are compared, and of the others one in thirty-three', () => {
  const one = new PayloadCheck({ kind: 'size', bytesMin: 30, bytesMax: 30 }, true)
  const wrong = new Uint8Array(30)
  one.beginRead()
  const found = Array.from({ length: 4 + 66 }, () => one.isDamaged(wrong, 0, 30))
  const places = found.flatMap((isFound, i) => (isFound ? [i] : []))
  assert.deepEqual(places, [0, 1, 2, 3, 4 + 32, 4 + 65])
  assert.equal(one.compared, 6)
})
