// The values of the testers' options, and templates of topics and payloads.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandFailure } from '../failure.ts'
import { parseSourceAddresses } from './dialer.ts'
import * as quantities from './quantities.ts'
import { Random } from './random.ts'
import {
  checkPayloadTemplate,
  checkTopicTemplate,
  expandPayload,
  filterOf,
  randomCount,
  topicsOf,
} from './templates.ts'

const { parseBurst, parseMs, parseNumber, parsePayloadSize, parseRate, parseShare, parseStorm } =
  quantities

function refuses(act: () => unknown): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof CommandFailure)
    assert.equal(error.exitCode, 2)
    return true
  })
}

test('rates are per second, with a factor and another unit of time', () => {
  const rates = ['100', '5k/s', '1.5M', '600/m', '7200/h'].map(text => parseRate('-r', text))
  assert.deepEqual(rates, [100, 5000, 1_500_000, 10, 2])
  for (const wrong of ['0', '-1', 'fast', '5k/x', '1e9', '2000M', '']) {
    refuses(() => parseRate('-r', wrong))
  }
})

test('times are milliseconds, a bare number is seconds', () => {
  const times = ['30', '500ms', '1.5s', '2m', '1h'].map(text => parseMs('-d', text))
  assert.deepEqual(times, [30_000, 500, 1500, 120_000, 3_600_000])
  for (const wrong of ['-1s', 'soon', '1d', '']) refuses(() => parseMs('-d', wrong))
})

test('numbers have bounds that are part of the message', () => {
  assert.equal(parseNumber('-n', '10_000', 1, 20_000), 10_000)
  assert.equal(parseNumber('-n', '10k', 1, 20_000), 10_000)
  assert.throws(() => parseNumber('-n', '0', 1, 5), /1 to 5, not "0"/)
  refuses(() => parseNumber('-n', '6', 1, 5))
  refuses(() => parseNumber('-n', '1.5', 1, 5))
})

test('sizes of payloads are bytes or a range', () => {
  assert.deepEqual(parsePayloadSize('-s', '4k'), { kind: 'size', bytesMin: 4096, bytesMax: 4096 })
  const range = { kind: 'size', bytesMin: 64, bytesMax: 1024 }
  assert.deepEqual(parsePayloadSize('-s', '64..1024'), range)
  for (const wrong of ['1024..64', '1g', '', '64..', '300m']) {
    refuses(() => parsePayloadSize('-s', wrong))
  }
})

test('storms, bursts and parts', () => {
  assert.deepEqual(parseStorm('--storm', '50% every 10s'), { share: 0.5, everyUs: 10e6 })
  assert.deepEqual(parseStorm('--storm', 'disconnect 1 every 5m'), { share: 1, everyUs: 300e6 })
  for (const wrong of ['50%', '0% every 1s', '150% every 1s', '50% every 0s']) {
    refuses(() => parseStorm('--storm', wrong))
  }
  assert.deepEqual(parseBurst('--burst', '100/2s'), { size: 100, everyUs: 2e6 })
  for (const wrong of ['100', '0/2s', '100/0s']) refuses(() => parseBurst('--burst', wrong))
  assert.equal(parseShare('-j', '25%'), 0.25)
  refuses(() => parseShare('-j', '101%'))
})

test('source addresses are listed and ranged', () => {
  const addresses = parseSourceAddresses('-A', '127.0.0.1,10.0.0.254-10.0.1.1,127.0.0.5-6,::1')
  const range = ['10.0.0.254', '10.0.0.255', '10.0.1.0', '10.0.1.1']
  assert.deepEqual(addresses, ['127.0.0.1', ...range, '127.0.0.5', '127.0.0.6', '::1'])
  for (const wrong of ['host', '10.0.0.9-10.0.0.1', '10.0.0.1-x', '1.1.1.1-9.9.9.9', '']) {
    refuses(() => parseSourceAddresses('-A', wrong))
  }
})

test('topics have a part for the client and a part by chance', () => {
  assert.deepEqual(topicsOf('a/{client}/b', 7), ['a/7/b'])
  assert.deepEqual(topicsOf('{client}/{random:2}/{random:2}', 1), [
    '1/0/0',
    '1/0/1',
    '1/1/0',
    '1/1/1',
  ])
  assert.equal(randomCount('{random:10}/x{random:3}'), 30)
  for (const wrong of ['a/{who}', 'a/+', '', 'a/{random:0}', '{random:1000}/{random:1000}']) {
    refuses(() => checkTopicTemplate('--topic', wrong))
  }
})

test('filters match the topics of one client or of all', () => {
  assert.equal(filterOf('a/{client}/{random:5}', 3), 'a/3/+')
  assert.equal(filterOf('a/{client}/x{random:5}', null), 'a/+/+')
  assert.equal(filterOf('a/b', null), 'a/b')
})

test('payloads are filled in, and braces of JSON stay', () => {
  const values = { client: 3, sequence: 9, random: new Random(1) }
  assert.equal(expandPayload('{"c":{client},"n":{seq}}', values), '{"c":3,"n":9}')
  assert.match(expandPayload('{random:10}', values), /^\d$/)
  checkPayloadTemplate('--payload', '{"a":{"b":1}}')
  refuses(() => checkPayloadTemplate('--payload', '{"a":{sequence}}'))
  checkPayloadTemplate('--payload', '{random:999999999999999}')
  refuses(() => checkPayloadTemplate('--payload', '{random:1000000000000000}'))
})
