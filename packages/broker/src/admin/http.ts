// The pages for machines: /metrics, /healthz and /readyz, on a listener of their own. Whoever asks
// slowly, or does not read, is cut off; there is never more than a handful of them.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { MetricsText } from './metrics.ts'
import type { Readiness } from './readings.ts'

/** Where metrics and health are asked for. */
export interface MetricsAddress {
  readonly host: string
  readonly port: number
  /** e.g. `http://127.0.0.1:9883` */
  readonly url: string
}

/** What the pages show. */
export interface AdminHost {
  metrics(openMetrics: boolean): Promise<MetricsText>
  readiness(): Readiness
  /** A page could not be made, or the server has failed. */
  failed(error: Error): void
}

export interface AdminOptions {
  readonly host: string
  readonly port: number
  /** For a request, and for each part of an answer to be taken. */
  readonly timeoutMs: number
}

export interface AdminListener {
  readonly address: MetricsAddress
  /** Ends those who ask, too. */
  close(): Promise<void>
}

/** More collectors at a time than anybody has. */
const CONNECTIONS_MAX = 32
const HEADER_BYTES_MAX = 16 * 1024
const IDLE_MS = 5000
const PAGES = '/metrics, /healthz and /readyz'
const PLAIN = 'text/plain; charset=utf-8'
const JSON_TYPE = 'application/json'
const OPEN_METRICS = 'application/openmetrics-text'

const ReasonTexts: Readonly<Record<NonNullable<Readiness['reason']>, string>> = {
  starting: 'the store is being read',
  failed: 'the store could not be opened',
  draining: 'the broker is stopping',
  full: 'the disk of the store is full: nothing that grows is taken',
}

/** @throws the system's error when the address cannot be had */
export async function listenAdmin(host: AdminHost, options: AdminOptions): Promise<AdminListener> {
  const { timeoutMs } = options
  const server = createServer(
    {
      headersTimeout: timeoutMs,
      requestTimeout: timeoutMs,
      keepAliveTimeout: Math.min(IDLE_MS, timeoutMs),
      connectionsCheckingInterval: Math.min(1000, timeoutMs),
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => {
      // Whatever it does meanwhile: by then the answer is taken, or it is not wanted.
      const late = setTimeout(() => response.destroy(), timeoutMs)
      response.once('close', () => clearTimeout(late))
      answer(host, request, response).catch((error: unknown) => fail(host, response, error))
    },
  )
  server.maxConnections = CONNECTIONS_MAX
  server.timeout = timeoutMs
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  server.on('error', error => host.failed(error))
  return { address: addressOf(server), close: () => close(server) }
}

async function answer(
  host: AdminHost,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = '/'] = (request.url ?? '/').split('?', 1)
  const isKnown = path === '/metrics' || path === '/healthz' || path === '/readyz'
  if (!isKnown) {
    send(response, 404, PLAIN, `there is no such page; ${PAGES} are here\n`)
    return
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    response.setHeader('Connection', 'close')
    send(response, 405, PLAIN, `${path} takes GET and HEAD, not ${request.method}\n`)
    return
  }
  if (path === '/healthz') send(response, 200, JSON_TYPE, '{"status":"alive"}\n')
  else if (path === '/readyz') tellReadiness(response, host.readiness())
  else {
    const { contentType, text } = await host.metrics(wantsOpenMetrics(request.headers.accept))
    send(response, 200, contentType, text)
  }
}

function tellReadiness(response: ServerResponse, { reason, space }: Readiness): void {
  if (reason === null) {
    send(response, 200, JSON_TYPE, `${JSON.stringify({ status: 'ready', space })}\n`)
    return
  }
  const body = { status: 'not ready', reason, text: ReasonTexts[reason], space }
  send(response, 503, JSON_TYPE, `${JSON.stringify(body)}\n`)
}

function send(response: ServerResponse, status: number, contentType: string, text: string): void {
  const body = Buffer.from(text)
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  })
  // Node leaves the body out of the answer to HEAD.
  response.end(body)
}

function fail(host: AdminHost, response: ServerResponse, error: unknown): void {
  host.failed(error instanceof Error ? error : new Error(String(error)))
  if (response.headersSent) response.destroy()
  else send(response, 500, PLAIN, 'the metrics could not be collected; the log says why\n')
}

/** Whether the collector names OpenMetrics, and likes nothing else more. */
export function wantsOpenMetrics(accept: string | undefined): boolean {
  if (accept === undefined) return false
  let open = 0
  let plain = 0
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part.split(';').map(piece => piece.trim().toLowerCase())
    const given = parameters.find(parameter => parameter.startsWith('q='))
    const quality = given === undefined ? 1 : Number(given.slice(2)) || 0
    if (type === OPEN_METRICS) open = Math.max(open, quality)
    else if (type === 'text/plain') plain = Math.max(plain, quality)
  }
  return open > 0 && open >= plain
}

function addressOf(server: Server): MetricsAddress {
  const { address: host, port, family } = server.address() as AddressInfo
  const shown = family === 'IPv6' ? `[${host}]` : host
  return { host, port, url: `http://${shown}:${port}` }
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
