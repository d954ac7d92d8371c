// Runs one command line with a client, Mosquitto's or ours, against a broker of its own, and tells
// all that can be seen of it.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { type BrokerServer, createBroker, type PublishedMessage } from '@godwit/broker'
import { Authority } from '../../support/certificates.ts'
import type { Script } from './script.ts'

/** What a client did. */
export interface Outcome {
  readonly exitCode: number | null
  /** Bytes as characters, times masked. */
  readonly stdout: string
  readonly stderr: string
  /** What the broker got, a line for each message. */
  readonly received: readonly string[]
  /** What else the client has sent, a line for each packet. */
  readonly packets: readonly string[]
}

export type Client = 'mosquitto' | 'godwit'

const LIMIT_MS = 60_000
const GODWIT = new URL('../../../../packages/cli/bin/godwit.js', import.meta.url).pathname
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6}Z?)?[+-]\d{4}/g

export async function run(script: Script, client: Client): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-'))
  for (const [name, text] of Object.entries(script.files ?? {})) {
    writeFileSync(join(folder, name), text)
  }
  const received: string[] = []
  const packets: string[] = []
  const broker = createBroker({
    statsIntervalSeconds: 0,
    hooks: hooksOf(received, () => broker),
    dump: line => packets.push(line),
  })
  const { port, stop } = await listen(broker, script, folder)
  if (script.nobodyListens === true) await broker.close({ drainSeconds: 0 })
  try {
    for (const { topic, payload, ...options } of script.before ?? []) {
      broker.publish(topic, payload, options)
    }
    publishLater(broker, script)
    const fill = (text: string): string =>
      text.replaceAll('{dir}', folder).replaceAll('{port}', String(port))
    const outcome = await spawnClient(script, client, port, fill)
    return { ...outcome, received, packets: packets.filter(isOfClient).map(comparable) }
  } finally {
    stop()
    await broker.close({ drainSeconds: 0 })
    rmSync(folder, { recursive: true })
  }
}

/** Publishing is compared elsewhere; how it is acknowledged depends on who is faster. */
function isOfClient(line: string): boolean {
  return /^in {2}\S+ (?:CONNECT|SUBSCRIBE|UNSUBSCRIBE|DISCONNECT)/.test(line)
}

/**
 * Without the port, properties in one order, and without what says how much may come at once: the
 * clients differ in how much they take, and in whether they say that it is all.
 */
function comparable(line: string): string {
  const place = line.replace(/127\.0\.0\.1:\d+/, 'new')
  const sorted = place.replace(/ ?\{([^{}]*)\}/g, (_, properties: string) => {
    const kept = properties
      .split(/ (?=[a-zA-Z]+=)/)
      .filter(each => !/^(?:receiveMaximum=(?:20|256)|maximumPacketSize=268435460)$/.test(each))
    return kept.length === 0 ? '' : ` {${kept.sort().join(' ')}}`
  })
  return sorted
}

interface Listening {
  readonly port: number
  readonly stop: () => void
}

async function listen(broker: BrokerServer, script: Script, folder: string): Promise<Listening> {
  const stop = (): void => undefined
  if (script.listener === undefined) {
    return { port: (await broker.listen({ port: 0 })).port, stop }
  }
  if (script.listener === 'unix') {
    await broker.listen({ unix: join(folder, 'socket') })
    return { port: 0, stop }
  }
  if (script.listener === 'psk') return listenPsk((await broker.listen({ port: 0 })).port)
  const { tls, files } = await certificates()
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const who = script.listener === 'mutual' ? { ca: files['ca.pem'] } : {}
  const address = await broker.listen({ port: 0, host: '::', tls: { ...tls, ...who } })
  return { port: address.port, stop }
}

/** The broker has no pre-shared keys: a server in front of it has. */
function listenPsk(port: number): Promise<Listening> {
  const server = createTlsServer({
    ciphers: 'PSK',
    maxVersion: 'TLSv1.2',
    pskCallback: (_socket, identity) => (identity === 'me' ? Buffer.from('0123abcd', 'hex') : null),
  })
  server.on('tlsClientError', () => undefined)
  server.on('secureConnection', socket => {
    const inner = connect(port, '127.0.0.1')
    socket.pipe(inner).pipe(socket)
    for (const each of [socket, inner]) each.on('error', () => undefined)
  })
  return new Promise(resolve => {
    server.listen(0, 'localhost', () => {
      resolve({ port: (server.address() as AddressInfo).port, stop: () => server.close() })
    })
  })
}

let made: ReturnType<typeof makeFiles> | null = null

/** The same for all scripts. */
function certificates(): ReturnType<typeof makeFiles> {
  made ??= makeFiles()
  return made
}

async function makeFiles() {
  const [authority, other] = [await Authority.create('Test CA'), await Authority.create('Other CA')]
  const server = await authority.issue({ commonName: 'localhost' })
  const client = await authority.issue({ commonName: 'client' })
  const elsewhere = await other.issue({ commonName: 'client' })
  return {
    tls: { cert: server.cert, key: server.key },
    files: {
      'ca.pem': authority.cert,
      'other.pem': other.cert,
      'client.crt': client.cert,
      'client.key': client.key,
      'other.key': elsewhere.key,
    },
  }
}

function hooksOf(received: string[], broker: () => BrokerServer) {
  return {
    authenticate: ({
      username,
      password,
    }: {
      username: string | null
      password: Uint8Array | null
    }) => username === null || Buffer.from(password ?? []).toString() === 'secret',
    authorizeSubscribe: (_client: unknown, filter: string) => !filter.startsWith('no/'),
    publish: (message: PublishedMessage) => {
      received.push(describe(message))
      respond(message, broker())
      return undefined
    },
  }
}

/** Answers requests to `service/…`, as a responder that keeps the correlation data would. */
function respond(
  { topic, payload, qos, properties }: PublishedMessage,
  broker: BrokerServer,
): void {
  if (!topic.startsWith('service/')) return
  const { responseTopic = topic.slice('service/to/'.length), correlationData } = properties
  const answer = Buffer.concat([Buffer.from('re: '), payload])
  setImmediate(() => {
    broker.publish(responseTopic, answer, {
      qos,
      properties: correlationData === undefined ? {} : { correlationData },
    })
  })
}

function describe({ topic, payload, qos, retain, properties }: PublishedMessage): string {
  const { responseTopic, correlationData, ...others } = properties
  const bytes = Buffer.from(payload).toString('latin1')
  // rr adds these to each request, ours of its own making.
  const request = topic.startsWith('service/') || topic === 'nobody'
  const more = request ? {} : { responseTopic, correlationData: correlationData?.toString() }
  const all = { topic, bytes, qos, retain, ...others, ...more }
  // Properties may come in any order.
  return JSON.stringify(all, Object.keys(all).sort())
}

function publishLater(broker: BrokerServer, { after = [], filters = 1 }: Script): void {
  if (after.length === 0) return
  let missing = filters
  broker.on('subscribe', () => {
    missing--
    if (missing !== 0) return
    // Behind SUBACK and retained messages.
    setImmediate(() => {
      for (const { topic, payload, ...options } of after) broker.publish(topic, payload, options)
    })
  })
}

function spawnClient(
  script: Script,
  client: Client,
  port: number,
  fill: (text: string) => string,
): Promise<Omit<Outcome, 'received' | 'packets'>> {
  const hasPlace = ['-L', '-p', '--unix'].some(name => script.args.includes(name))
  const args = [...(hasPlace ? [] : ['-p', String(port)]), ...script.args.map(fill)]
  const environment = Object.entries(script.environment ?? {}).map(([name, text]) => [
    name,
    fill(text),
  ])
  const env = {
    ...process.env,
    XDG_CONFIG_HOME: fill('{dir}/none'),
    ...Object.fromEntries(environment),
  }
  const child =
    client === 'mosquitto'
      ? spawn(`mosquitto_${script.command}`, args, { env, timeout: LIMIT_MS })
      : spawn(process.execPath, [GODWIT, script.command, ...args], { env, timeout: LIMIT_MS })
  // One that ends at once does not read it.
  child.stdin.on('error', () => undefined)
  child.stdin.end(script.stdin ?? '')
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', exitCode => {
      resolve({
        exitCode,
        stdout: Buffer.concat(stdout).toString('latin1').replace(TIME, '<time>'),
        stderr: Buffer.concat(stderr).toString('latin1'),
      })
    })
  })
}
