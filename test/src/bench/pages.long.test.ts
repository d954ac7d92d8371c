// The pages that the testers write, opened in a browser: charts are drawn, nothing is loaded.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { withBroker } from '../support/brokers.ts'
import { godwit } from '../support/godwit.ts'
import { skipWithout } from '../support/skip.ts'

const CHROMIUM = '/usr/bin/chromium'
const ARGS = [
  ...['--no-sandbox', '--headless', '--disable-background-networking', '--no-first-run'],
  ...['--disable-component-update', '--disable-sync'],
]

const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-page-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface PageFacts {
  readonly charts: number
  /** Canvases on which something was drawn. */
  readonly drawn: number
  readonly text: string
  readonly errors: readonly string[]
  /** Addresses that were asked for besides the page. */
  readonly requests: readonly string[]
}

async function look(path: string): Promise<PageFacts> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS })
  try {
    const page = await browser.newPage()
    const errors: string[] = []
    const requests: string[] = []
    page.on('pageerror', error => errors.push(error.message))
    page.on('console', message => errors.push(message.text()))
    page.on('request', request => requests.push(request.url()))
    const url = pathToFileURL(path).href
    await page.goto(url)
    await page.waitForSelector('html[data-charts]')
    const charts = await page.locator('.chart .u-wrap').count()
    // Pixels with colour: an empty canvas has none.
    const drawn: number = await page.evaluate(`[...document.querySelectorAll('canvas')].filter(c =>
      c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(n => n > 0)).length`)
    const text = await page.locator('body').innerText()
    return { charts, drawn, text, errors, requests: requests.filter(one => one !== url) }
  } finally {
    await browser.close()
  }
}

test('the page of a run draws its charts, without errors or the network', async context => {
  if (skipWithout(context, existsSync(CHROMIUM) ? undefined : 'chromium')) return
  const html = join(folder, 'run.html')
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const where = ['-p', String(port), '-h', '127.0.0.1']
    const options = ['--conns', '4', '--rate', '500/s', '--duration', '2500ms', '--qos', '1']
    const { code, errors } = await godwit('bench', 'load', ...where, ...options, '--html', html)
    assert.equal(code, 0, errors)
  })
  const { charts, drawn, text, errors, requests } = await look(html)
  assert.deepEqual(
    { charts, drawn, errors, requests },
    { charts: 4, drawn: 4, errors: [], requests: [] },
  )
  assert.match(text, /^bench load\s+all well\s+mqtt:.* · open loop 500\/s constant · /)
  assert.match(text, /Messages per second/)
  assert.match(text, /Distribution of latency/)
  assert.match(text, /all well/)
})

test('the page of a search shows its rates and what spoils its figures', async context => {
  if (skipWithout(context, existsSync(CHROMIUM) ? undefined : 'chromium')) return
  const html = join(folder, 'capacity.html')
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const where = ['-p', String(port), '-h', '127.0.0.1', '--publishers', '2', '--size', '14']
    // How many are due is the schedule's alone: a busy machine changes nothing about it.
    const search = [
      '--find-capacity',
      'delivery.expected < 90',
      '--rate',
      '200/s',
      '--step',
      '500ms',
    ]
    const { output } = await godwit('bench', 'load', ...where, ...search, '--html', html)
    assert.match(output, /rate +received +delivery\.expected < 90/)
  })
  const { errors, requests, text } = await look(html)
  assert.deepEqual({ errors, requests }, { errors: [], requests: [] })
  assert.match(text, /Capacity: (?:at least )?[\d.]+\/s messages within delivery\.expected < 90/)
  assert.match(text, /200\/s\s+\d+\/s\s+[\d.]+\s+failed\s+delivery\.expected < 90 is missed/)
  assert.match(text, /the highest rate with delivery\.expected < 90/)
  assert.match(text, /payloads below 20 bytes have no times: no latency was measured/)
})

test('the page of a comparison draws both sides', async context => {
  if (skipWithout(context, existsSync(CHROMIUM) ? undefined : 'chromium')) return
  const result = join(folder, 'one.json')
  const html = join(folder, 'compare.html')
  await withBroker({}, async broker => {
    const { port } = await broker.listen({ port: 0 })
    const where = ['-p', String(port), '-h', '127.0.0.1']
    const options = ['--conns', '4', '--messages', '100', '--trials', '2', '--output', result]
    assert.equal((await godwit('bench', 'load', ...where, ...options)).code, 0)
  })
  assert.equal((await godwit('bench', 'compare', result, result, '--html', html)).code, 0)
  const { charts, drawn, errors, requests, text } = await look(html)
  assert.deepEqual(
    { charts, drawn, errors, requests },
    { charts: 2, drawn: 2, errors: [], requests: [] },
  )
  assert.match(text, /unsure|no change/)
})
