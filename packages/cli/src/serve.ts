// The command `godwit serve`: a broker from configuration and flags until a signal ends it.

import { resolve } from 'node:path'
import {
  type BrokerOptions,
  type BrokerServer,
  checkListen,
  checkMetrics,
  checkOptions,
  createBroker,
  type ListeningAddress,
  type ListenOptions,
  type MetricsOptions,
  StoreError,
  VERSION,
} from '@godwit/broker'
import { tellCertificates, watchCertificates } from './certificate-times.ts'
import { EMPTY_CONFIG, type LoadedConfig, limitErrors, located } from './config.ts'
import type { EarlySignals } from './early-signals.ts'
import { CommandFailure, StoreExit } from './failure.ts'
import { boundYoungHeap, giveHeapRoom } from './heap.ts'
import { openLog } from './log.ts'
import { type Access, checkCertificateUsers, hooksOf, openAccess } from './serve-access.ts'
import { openAcl, reloadAcl } from './serve-acl.ts'
import { applyFlags, type ReadyConfig, type ServeFlags } from './serve-flags.ts'
import { checkPasswords, reloadPasswords } from './serve-passwords.ts'

type Log = Awaited<ReturnType<typeof openLog>>

const FAILED = 1
const DEFAULT_PORT = 1883

/**
 * Runs until the broker has closed.
 * @param signals that came already have their effect now
 * @returns the exit code
 */
export async function serve(flags: ServeFlags, signals: EarlySignals): Promise<number> {
  const loaded = flags.config === undefined ? EMPTY_CONFIG : await load(flags.config)
  const config = applyFlags(loaded.config, flags)
  checkConfig(config, loaded)
  if (flags.check === true) {
    signals.release()
    if (config.passwords !== null) checkPasswords(config.passwords)
    if (config.aclFile !== null) openAcl(config.aclFile)
    console.log(`${flags.config ?? 'the configuration'} is valid`)
    return 0
  }
  if (flags.config !== undefined && typeof config.broker.store !== 'object') await dropThread()
  const log = await openLog(config.log.level, config.log.format)
  answerUserSignals(signals, log)
  const access = openAccess(config, log)
  const broker = createBroker({
    ...config.broker,
    hooks: hooksOf(access),
    dump: config.broker.dump ? line => log.info(line) : false,
    log,
  })
  let exitCode = 0
  broker.on('error', error => {
    // It is in the log; a broker that cannot go on closes itself, which is no success.
    exitCode = exitCodeOf(error)
  })
  logEvents(broker, log)
  const stopped = stopOnSignals(signals, broker, config.drainSeconds, log)
  const failure = await startAll(broker, config, stopped, log)
  if (failure !== null) {
    await broker.close({ drainSeconds: 0 })
    return failure
  }
  if (!stopped()) {
    exitCode = 0
    const hasCertificates = config.listeners.some(({ tls }) => tls !== undefined)
    watchCertificates(config.listeners, log)
    // Whoever reads that it listens may send signals.
    greet(broker.addresses, config.broker, log)
    const { listeners } = config
    reloadOnHangup(signals, broker, { ...access, hasCertificates, listeners }, log)
    tellStarted()
  }
  const endOfRoom = giveHeapRoom()
  const endOfBound = boundYoungHeap()
  await broker.closed
  endOfRoom()
  endOfBound()
  log.info('stopped')
  // A disk that failed is no success, however the broker was stopped.
  return stopped() && exitCode === FAILED ? 0 : exitCode
}

/**
 * Reads the store and listens.
 * @returns the exit code when that cannot be; null: it serves, or was stopped meanwhile
 */
async function startAll(
  broker: BrokerServer,
  { metrics, listeners }: ReadyConfig,
  stopped: () => boolean,
  log: Log,
): Promise<number | null> {
  const refused = (text: string): number | null => {
    // What is stopped listens no more.
    if (stopped()) return null
    log.fatal(text)
    return FAILED
  }
  // Who waits for the store to be read can ask how far it is.
  if (metrics !== null) {
    try {
      await listenMetrics(broker, metrics, log)
    } catch (error) {
      return refused(`metrics: ${explain(error, metrics)}`)
    }
  }
  try {
    await broker.ready
  } catch (error) {
    // The broker has said why.
    return exitCodeOf(error)
  }
  for (const listener of listeners) {
    if (stopped()) return null
    try {
      await broker.listen(listener)
    } catch (error) {
      return refused(explain(error, listener))
    }
  }
  return null
}

/** bin/code-cache.js keeps the start's code now: later V8 has other flags and has forgotten it. */
function tellStarted(): void {
  const listeners: NodeJS.EventEmitter = process
  listeners.emit('godwit:started')
}

/** start.ts has started it before it could be known that there is no store. */
async function dropThread(): Promise<void> {
  const { dropAhead } = await import('@godwit/broker/store/worker-thread')
  await dropAhead()
}

async function load(path: string): Promise<LoadedConfig> {
  const { loadConfig } = await import('./config-file.ts')
  return loadConfig(path)
}

function exitCodeOf(error: unknown): number {
  if (!(error instanceof StoreError)) return FAILED
  if (error.code === 'locked') return StoreExit.locked
  if (error.code === 'corrupt' || error.code === 'newer-version') return StoreExit.damaged
  return StoreExit.failed
}

/** @throws CommandFailure for anything that would fail later, certificates included */
function checkConfig(config: ReadyConfig, { source }: LoadedConfig): void {
  const wrong = limitErrors(config.broker.limits, source)
  if (wrong.length > 0) throw new CommandFailure(wrong.join('\n'), 2)
  try {
    checkOptions(config.broker)
    if (config.metrics !== null) checkMetrics(config.metrics)
  } catch (error) {
    throw located(error, source)
  }
  for (const [index, listener] of config.listeners.entries()) {
    try {
      checkListen(listener)
    } catch (error) {
      const where = source.locate(['listeners', index])
      const text = error instanceof Error ? error.message : String(error)
      throw new CommandFailure(where === null ? text : `${where}: ${text}`, 2)
    }
  }
  if (config.certificateUserNames) checkCertificateUsers(config.listeners)
}

async function listenMetrics(
  broker: BrokerServer,
  options: MetricsOptions,
  log: Log,
): Promise<void> {
  const { url, host } = await broker.listenMetrics(options)
  const reach = isLoopback(host)
    ? ' (this machine only; --metrics-host 0.0.0.0 opens them to the network)'
    : ''
  log.info(`metrics are on ${url}/metrics${reach}`)
}

function explain(error: unknown, listener: ListenOptions): string {
  const { code, message, port } = error as NodeJS.ErrnoException & { port?: number }
  const unix = typeof listener.unix === 'object' ? listener.unix.path : listener.unix
  const number = listener.port ?? port
  const where = unix ?? (number === undefined ? 'the default port' : `port ${number}`)
  if (code === 'EADDRINUSE') return `${where} is in use: another program listens there already`
  if (code === 'EACCES' && unix !== undefined) {
    return `${where}: its directory is not there, or may not be written to (EACCES)`
  }
  if (code === 'EADDRNOTAVAIL') return `${listener.host} is no address of this machine`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `there is no host ${listener.host}`
  if (code === 'EACCES') return `${where} is not allowed: ports below 1024 need rights (EACCES)`
  return `cannot listen on ${where}: ${message}`
}

function greet(addresses: readonly ListeningAddress[], { store }: BrokerOptions, log: Log): void {
  log.info(`godwit ${VERSION}, process ${process.pid}`)
  for (const address of addresses) {
    const { url, host, transport } = address
    const alone = transport !== 'unix' && isLoopback(host)
    const reach = alone ? ' (this machine only; --host 0.0.0.0 opens it to the network)' : ''
    log.info(`listening on ${url}${reach}`)
  }
  if (typeof store === 'object') {
    log.info(`what is acknowledged is on disk, in ${resolve(store.directory)}`)
  } else {
    log.info('sessions, queues and retained messages are in memory: they end with this process')
  }
  const tcp = addresses.find(({ transport }) => transport === 'tcp')
  if (tcp === undefined) return
  const port = tcp.port === DEFAULT_PORT ? '' : ` -p ${tcp.port}`
  log.info(`try it: godwit sub${port} -v -t '#'   and   godwit pub${port} -t hello -m world`)
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.') || host === 'localhost'
}

function logEvents(broker: BrokerServer, log: Log): void {
  broker.on('dropped', event => log.warn(event, 'a message was lost, the first of its kind'))
  broker.on('flapping', event => log.warn(event, 'a client connects again and again'))
  broker.on('refused', ({ origin, ...event }) => {
    const { remoteAddress, remotePort, listener } = origin
    log.info({ ...event, remoteAddress, remotePort, listener }, 'a connection was refused')
  })
  if (!log.isLevelEnabled('debug')) return
  broker.on('clientConnected', ({ origin, ...client }) => {
    const { remoteAddress, remotePort, listener } = origin
    log.debug({ ...client, remoteAddress, remotePort, listener }, 'a client has connected')
  })
  broker.on('clientDisconnected', event => log.debug(event, 'a client has gone'))
  broker.on('subscribe', event => log.debug(event, 'a client has subscribed'))
  broker.on('unsubscribe', event => log.debug(event, 'a client has unsubscribed'))
}

/**
 * The first signal stops gracefully, the second at once.
 * @returns whether a signal has come
 */
function stopOnSignals(
  signals: EarlySignals,
  broker: BrokerServer,
  drainSeconds: number,
  log: Log,
): () => boolean {
  let stopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      log.warn(`${signal} again: stopping at once`)
      process.exit(FAILED)
    }
    stopping = true
    log.info(`${signal}: stopping; once more stops at once`)
    void broker.close({ drainSeconds })
  }
  signals.answer('SIGINT', stop)
  signals.answer('SIGTERM', stop)
  return () => stopping
}

/** Scripts send them to Mosquitto. */
function answerUserSignals(signals: EarlySignals, log: Log): void {
  signals.answer('SIGUSR1', () => {
    log.info('SIGUSR1: there is nothing to save; what is acknowledged is kept as it comes')
  })
  signals.answer('SIGUSR2', () => log.info('SIGUSR2: it is for nothing here'))
}

interface Reloaded extends Access {
  readonly hasCertificates: boolean
  readonly listeners: readonly ListenOptions[]
}

function reloadOnHangup(
  signals: EarlySignals,
  broker: BrokerServer,
  { passwords, acl, checksNames, hasCertificates, listeners }: Reloaded,
  log: Log,
): void {
  signals.answer('SIGHUP', () => {
    if (passwords !== null) reloadPasswords(passwords, log)
    if (acl !== null && reloadAcl(acl, checksNames, log)) broker.permissionsChanged()
    if (!hasCertificates) {
      if (passwords === null && acl === null) {
        log.info('SIGHUP: there are neither certificates nor passwords nor an ACL to read again')
      }
      return
    }
    try {
      broker.reloadCertificates()
      log.info('certificates were read again')
      tellCertificates(listeners, log)
    } catch (error) {
      log.error({ err: error }, 'certificates could not be read again; the old ones stay')
    }
  })
}
