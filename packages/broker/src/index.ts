// The public surface of @godwit/broker.

export type { MetricsAddress } from './admin/http.ts'
export type { MetricsText } from './admin/metrics.ts'
export type { DropReason, LedgerEntry } from './core/ledger.ts'
export { DEFAULT_LIMITS, type FullQueuePolicy, type Limits } from './core/limits.ts'
export type {
  AuthenticationVerdict,
  ClientView,
  Identity,
  Origin,
  Store,
  StoreReader,
} from './core/ports.ts'
export type {
  BrokerEvents,
  FlappingEvent,
  PublishedEvent,
  RefusedEvent,
  StoreSpace,
} from './events.ts'
export { type AclClient, AclFile, AclFileError } from './guard/acl-file.ts'
export {
  type Credentials,
  PasswordFile,
  type PasswordFileOptions,
} from './guard/password-file.ts'
export {
  DEFAULT_PBKDF2_ITERATIONS,
  hashPassword,
  PASSWORD_HASH_KINDS,
  type PasswordHash,
  PasswordHashError,
  type PasswordHashKind,
  type PasswordHashOptions,
  parsePasswordHash,
} from './guard/password-hash.ts'
export { type ScramKeys, type ScramLookup, scramKeys, scramKeysLater } from './guard/scram.ts'
export type { ScramOptions, ScramUser } from './guard/scram-users.ts'
export type { HistogramReading } from './histogram.ts'
export type {
  AuthenticationAnswer,
  ConnectingClient,
  Hooks,
  PermissionAnswer,
  PublishAnswer,
  PublishedMessage,
} from './hooks.ts'
export {
  checkListen,
  checkMetrics,
  type ListenOptions,
  type MetricsOptions,
  type WebSocketChoice,
} from './listen.ts'
export type { CertificateOptions } from './listeners/certificates.ts'
export type { ListeningAddress } from './listeners/listener.ts'
export {
  type BrokerOptions,
  checkOptions,
  type Log,
  type OpenedStore,
  OptionError,
  type StoreFactory,
  type StoreOwner,
} from './options.ts'
export {
  type BrokerServer,
  type BrokerStats,
  type CloseOptions,
  createBroker,
  type PublishOptions,
} from './server.ts'
export type { DiskStoreOptions } from './store/disk.ts'
export { StoreError, type StoreErrorCode } from './store/errors.ts'
export type { ExportOptions } from './store/export.ts'
export type { ImportOptions } from './store/import.ts'
export { exportStore, importStore } from './store/transfer.ts'
export type { StoreReport } from './store-report.ts'
export { VERSION } from './version.ts'
