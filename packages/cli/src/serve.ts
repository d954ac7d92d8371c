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
import { watchCertificates } from './certificate-times.ts'
import { EMPTY_CONFIG, type LoadedConfig, limitErrors, located } from './config.ts'
import type { EarlySignals } from './early-signals.ts'
import { CommandFailure, StoreExit } from './failure.ts'
import { boundYoungHeap, giveHeapRoom } from './heap.ts'
import { type OpenLog, openLog } from './log.ts'
import { AccessSet, checkCertificateUsers, hooksOf } from './serve-access.ts'
import { applyFlags, type ReadyConfig, type ServeFlags } from './serve-flags.ts'
import { becomeUser, writePidFile } from './serve-process.ts'
import { reloadOnHangup } from './serve-reload.ts'

type Log = OpenLog['log']

const FAILED = 1
const DEFAULT_PORT = 1883

/**
 * Runs until the broker has closed.
 * @param signals that came already have their effect now
 * @returns the exit code
 */
export async function serve(flags: ServeFlags, signals: EarlySignals): Promise<number> {
  const { loaded, config } = await read(flags)
  if (flags.check === true || flags.printConfig === true) {
    signals.release()
    return tellConfig(flags, loaded, config)
  }
  if (flags.config !== undefined && typeof config.broker.store !== 'object') await dropThread()
  if (config.user !== null) becomeUser(...accountsOf(config.user))
  const opened = await openLogOf(config)
  const { log } = opened
  for (const note of loaded.notes) log.warn(note)
  if (config.pidFile !== null) writePidFile(config.pidFile)
  answerUserSignals(signals, log)
  const access = new AccessSet(config)
  access.tell(log)
  const broker = createBroker({
    ...config.broker,
    hooks: hooksOf(access, flags.config !== undefined),
    dump: config.broker.dump ? line => log.info(line) : false,
    log,
  })
  let exitCode = 0
  broker.on('error', error => {
    // It is in the log; a broker that cannot go on closes itself, which is no success.
    exitCode = exitCodeOf(error)
  })
  logEvents(broker, config.log.connections, log)
  const stopped = stopOnSignals(signals, broker, config.drainSeconds, log)
  const failure = await startAll(broker, config, stopped, log)
  if (failure !== null) {
    await broker.close({ drainSeconds: 0 })
    return failure
  }
  if (!stopped()) {
    exitCode = 0
    watchCertificates(config.listeners, log)
    // Whoever reads that it listens may send signals.
    greet(broker.addresses, config.broker, log)
    const again = flags.config === undefined ? null : (): ReturnType<typeof read> => read(flags)
    const reopenLog = opened.hasFiles ? opened.reopen : null
    reloadOnHangup(signals, { broker, access, config, read: again, reopenLog, log })
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

/** @throws CommandFailure for anything that would fail later */
async function read(flags: ServeFlags): Promise<{
  readonly loaded: LoadedConfig
  readonly config: ReadyConfig
  readonly notes: LoadedConfig['notes']
}> {
  const loaded = flags.config === undefined ? EMPTY_CONFIG : await load(flags.config)
  const config = applyFlags(loaded.config, flags)
  checkConfig(config, loaded)
  return { loaded, config, notes: loaded.notes }
}

/** Mosquitto's own user may not be there, and then it is nobody, as Mosquitto has it. */
function accountsOf(user: string): readonly string[] {
  return user === 'mosquitto' ? [user, 'nobody'] : [user]
}

async function openLogOf({ log }: ReadyConfig): Promise<OpenLog> {
  try {
    return await openLog(log)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new CommandFailure(`the log cannot be opened: ${text}`, FAILED)
  }
}

/** For --check and --print-config: starts nothing. */
async function tellConfig(
  flags: ServeFlags,
  { notes, files }: LoadedConfig,
  config: ReadyConfig,
): Promise<number> {
  new AccessSet(config).check()
  if (flags.printConfig !== true) {
    console.log(`${flags.config ?? 'the configuration'} is valid`)
    if (files === null) return 0
  }
  const { yamlOf } = await import('./config-yaml.ts')
  if (flags.printConfig === true || files === null) {
    for (const note of notes) console.log(`# ${note}`)
    process.stdout.write(yamlOf(config))
    return 0
  }
  console.log(`It is Mosquitto's (${files.join(', ')}), and this in a godwit.yaml:\n`)
  process.stdout.write(yamlOf(config))
  if (notes.length > 0) console.log(`\nWhat is otherwise than with Mosquitto:\n`)
  for (const note of notes) console.log(note)
  return 0
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
  const { access, ownAccess, listeners } = config
  if (access.certificateUserNames !== null) checkCertificateUsers(listeners)
  for (const [name, { certificateUserNames }] of ownAccess) {
    if (certificateUserNames === undefined || certificateUserNames === false) continue
    checkCertificateUsers(listeners.filter(listener => listener.name === name))
  }
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

function logEvents(broker: BrokerServer, tellsConnections: boolean, log: Log): void {
  broker.on('dropped', event => log.warn(event, 'a message was lost, the first of its kind'))
  broker.on('flapping', event => log.warn(event, 'a client connects again and again'))
  broker.on('refused', ({ origin, ...event }) => {
    const { remoteAddress, remotePort, listener } = origin
    log.info({ ...event, remoteAddress, remotePort, listener }, 'a connection was refused')
  })
  const level = tellsConnections ? 'info' : 'debug'
  if (log.isLevelEnabled(level)) {
    broker.on('clientConnected', ({ origin, ...client }) => {
      const { remoteAddress, remotePort, listener } = origin
      log[level]({ ...client, remoteAddress, remotePort, listener }, 'a client has connected')
    })
    broker.on('clientDisconnected', event => log[level](event, 'a client has gone'))
  }
  if (!log.isLevelEnabled('debug')) return
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
