// Every option of mosquitto.conf, of Mosquitto 2.0 and 2.1: what it takes, and what becomes of it
// here. docs/moving.md has the same at length.

import {
  BOOLEAN,
  DURATION,
  number,
  oneOf,
  PATH,
  type Reader,
  TEXT,
  type Value,
  WORDS,
} from './values.ts'

/**
 * `general`: for the broker. `access`: for the broker, or with per_listener_settings for a
 * listener. `listener`: for the one that it follows. Others belong to a bridge or a plugin.
 */
export type Scope = 'general' | 'access' | 'listener' | 'bridge' | 'plugin'

export type Handling =
  /** It is this in a godwit.yaml. */
  | { readonly kind: 'mapped'; readonly here: string }
  /** It changes nothing that anybody would miss, and is told as a warning. */
  | { readonly kind: 'ignored'; readonly why: string; readonly unless: readonly Value[] }
  /** It would change what the broker does, or who may do what, but for some values. */
  | { readonly kind: 'refused'; readonly why: string; readonly unless: readonly Value[] }

export interface MosquittoOption {
  readonly scope: Scope
  readonly reader: Reader
  readonly handling: Handling
}

const ANY_COUNT = number(-(2 ** 31))
const UINT16 = number(0, 65_535)
const PORT = number(1, 65_535)

const PLUGIN = 'plugins are not loaded: hooks of a program of your own decide, see docs/broker.md'
const BRIDGE = 'there are no bridges in the broker; two commands are one, see docs/moving.md'
const PSK = 'pre-shared keys are not there: use certificates (certfile, keyfile)'
const ENGINE = 'keys come from files only: give keyfile'
const LOG_LINE = 'lines of the log look as the log of godwit does'

function mapped(scope: Scope, reader: Reader, here: string): MosquittoOption {
  return { scope, reader, handling: { kind: 'mapped', here } }
}

/** @param unless values that need no word */
function ignored(scope: Scope, reader: Reader, why: string, ...unless: Value[]): MosquittoOption {
  return { scope, reader, handling: { kind: 'ignored', why, unless } }
}

/** @param unless values that say what is so here */
function refused(scope: Scope, reader: Reader, why: string, ...unless: Value[]): MosquittoOption {
  return { scope, reader, handling: { kind: 'refused', why, unless } }
}

const GeneralOptions: Readonly<Record<string, MosquittoOption>> = {
  include_dir: mapped('general', PATH, 'read in its place'),
  per_listener_settings: mapped('general', BOOLEAN, 'listeners: [{ passwordFile, aclFile, … }]'),
  clientid_prefixes: mapped('general', TEXT, 'clientIdPrefix'),
  check_retain_source: mapped('general', BOOLEAN, 'not there: who may read decides'),
  allow_duplicate_messages: ignored(
    'general',
    BOOLEAN,
    'a client gets one copy of a message, however many of its filters match',
    false,
  ),
  persistence: mapped('general', BOOLEAN, 'data'),
  retained_persistence: mapped('general', BOOLEAN, 'data'),
  persistence_location: mapped('general', PATH, 'data: a directory in it'),
  persistence_file: mapped('general', PATH, 'data: the name of that directory'),
  autosave_interval: ignored('general', ANY_COUNT, 'what is acknowledged is on disk already'),
  autosave_on_changes: ignored('general', BOOLEAN, 'what is acknowledged is on disk already'),
  store_clean_interval: ignored('general', ANY_COUNT, 'nothing has to be cleaned'),
  retry_interval: ignored('general', ANY_COUNT, 'messages are sent again when a client returns'),
  persistent_client_expiration: mapped(
    'general',
    DURATION,
    'limits: { legacySessionExpirySeconds, sessionExpirySecondsMax }',
  ),
  max_inflight_messages: mapped('general', UINT16, 'limits: { inflightMax, receiveMaximum }'),
  max_inflight_bytes: ignored(
    'general',
    ANY_COUNT,
    'max_inflight_messages and limits: { outgoingBytesMax } bound what is under way',
    0,
  ),
  max_queued_messages: mapped('general', ANY_COUNT, 'limits: { queuedMessagesMax }'),
  max_queued_bytes: mapped('general', ANY_COUNT, 'limits: { queuedBytesMax }'),
  max_packet_size: mapped('general', number(32), 'limits: { packetBytesMax }'),
  message_size_limit: mapped('general', number(0, 268_435_455), 'payloadBytesMax'),
  memory_limit: mapped(
    'general',
    number(0, Number.MAX_SAFE_INTEGER),
    'limits: { totalQueuedBytesMax, totalOutgoingBytesMax, retainedBytesMax }',
  ),
  max_keepalive: mapped('general', UINT16, 'limits: { keepAliveSecondsMax }'),
  global_max_clients: mapped('general', ANY_COUNT, 'limits: { sessionsMax }'),
  global_max_connections: mapped('general', ANY_COUNT, 'limits: { connectionsMax }'),
  queue_qos0_messages: refused(
    'general',
    BOOLEAN,
    'messages of QoS 0 do not wait for clients that are away: publish them with QoS 1',
    false,
  ),
  upgrade_outgoing_qos: refused(
    'general',
    BOOLEAN,
    'a message keeps the QoS of its publisher: publish with the QoS that is wanted',
    false,
  ),
  retain_available: mapped('general', BOOLEAN, 'limits: { retainAvailable }'),
  retain_expiry_interval: refused(
    'general',
    number(1),
    'retained messages end by their message expiry interval only: publish them with one',
  ),
  sys_interval: mapped('general', UINT16, 'statsIntervalSeconds'),
  set_tcp_nodelay: ignored('general', BOOLEAN, 'no packet ever waits for others', true),
  packet_buffer_size: ignored('general', ANY_COUNT, 'buffers are as large as what comes'),
  packet_max_auth: ignored('general', ANY_COUNT, 'limits: { packetBytesMax } holds for all'),
  packet_max_connect: mapped('general', number(32), 'limits: { connectPacketBytesMax }'),
  packet_max_sub: ignored('general', ANY_COUNT, 'limits: { packetBytesMax } holds for all'),
  packet_max_simple: ignored('general', ANY_COUNT, 'limits: { packetBytesMax } holds for all'),
  enable_control_api: refused('general', BOOLEAN, 'there is no $CONTROL', false),
  log_dest: mapped('general', WORDS, 'log: { to }'),
  log_type: mapped(
    'general',
    oneOf(
      'debug',
      'error',
      'warning',
      'notice',
      'information',
      'subscribe',
      'unsubscribe',
      'websockets',
      'internal',
      'none',
      'all',
    ),
    'log: { level }',
  ),
  log_facility: ignored('general', number(0, 7), 'there is no syslog'),
  log_timestamp: ignored('general', BOOLEAN, `${LOG_LINE}, with the time`, true),
  log_timestamp_format: ignored('general', TEXT, LOG_LINE),
  connection_messages: mapped('general', BOOLEAN, 'log: { connections }'),
  pid_file: mapped('general', PATH, 'pidFile'),
  user: mapped('general', TEXT, 'user'),
  websockets_log_level: ignored('general', ANY_COUNT, 'WebSockets are logged as all else is'),
  websockets_headers_size: ignored(
    'general',
    ANY_COUNT,
    'headers of a request may have 8192 bytes',
  ),
}

const AccessOptions: Readonly<Record<string, MosquittoOption>> = {
  password_file: mapped('access', PATH, 'passwordFile'),
  acl_file: mapped('access', PATH, 'aclFile'),
  allow_anonymous: mapped('access', BOOLEAN, 'allowAnonymous'),
  allow_zero_length_clientid: mapped('access', BOOLEAN, 'allowEmptyClientId'),
  auto_id_prefix: mapped('access', TEXT, 'assignedClientIdPrefix'),
  psk_file: refused('access', PATH, PSK),
}

const ListenerOptions: Readonly<Record<string, MosquittoOption>> = {
  listener: mapped('listener', WORDS, 'listeners: [{ port, host, unix }]'),
  port: mapped('listener', PORT, 'listeners: [{ port }]'),
  bind_address: mapped('listener', TEXT, 'listeners: [{ host }]'),
  bind_interface: mapped('listener', TEXT, 'listeners: [{ host }], its addresses'),
  socket_domain: mapped('listener', oneOf('ipv4', 'ipv6'), 'listeners: [{ host, ipv6Only }]'),
  protocol: mapped('listener', oneOf('mqtt', 'websockets', 'http_api'), 'listeners: [{ ws }]'),
  max_connections: mapped('listener', ANY_COUNT, 'listeners: [{ connectionsMax }]'),
  max_qos: mapped('listener', number(0, 2), 'limits: { maximumQoS }'),
  maximum_qos: mapped('listener', number(0, 2), 'limits: { maximumQoS }'),
  max_topic_alias: mapped('listener', UINT16, 'limits: { topicAliasMaximum }'),
  max_topic_alias_broker: mapped('listener', UINT16, 'limits: { outgoingTopicAliasMax }'),
  mount_point: refused(
    'listener',
    TEXT,
    'topics are the same at every listener: an acl_file with patterns keeps clients apart',
  ),
  http_dir: refused('listener', PATH, 'no files are served: leave them to a web server'),
  use_username_as_clientid: refused(
    'listener',
    BOOLEAN,
    'client ids stay as clients give them: a hook can refuse others, see docs/broker.md',
    false,
  ),
  listener_allow_anonymous: mapped('listener', BOOLEAN, 'listeners: [{ allowAnonymous }]'),
  listener_auto_id_prefix: mapped('listener', TEXT, 'assignedClientIdPrefix'),
  accept_protocol_versions: refused(
    'listener',
    WORDS,
    'every version of MQTT is taken: a hook can refuse others, see docs/broker.md',
    '3, 4, 5',
    '3,4,5',
  ),
  websockets_origin: mapped('listener', WORDS, 'listeners: [{ ws: { origins } }]'),
  enable_proxy_protocol: mapped('listener', number(1, 2), 'listeners: [{ proxyProtocol: true }]'),
  proxy_protocol_v2_require_tls: refused(
    'listener',
    BOOLEAN,
    'whether the client came to the proxy by TLS is not asked: let the proxy see to it',
    false,
  ),
  cafile: mapped('listener', PATH, 'listeners: [{ tls: { caFile } }]'),
  capath: mapped('listener', PATH, 'listeners: [{ tls: { caDirectory } }]'),
  certfile: mapped('listener', PATH, 'listeners: [{ tls: { certFile } }]'),
  keyfile: mapped('listener', PATH, 'listeners: [{ tls: { keyFile } }]'),
  crlfile: mapped('listener', PATH, 'listeners: [{ tls: { crlFile } }]'),
  ciphers: mapped('listener', TEXT, 'listeners: [{ tls: { ciphers } }]'),
  'ciphers_tls1.3': mapped('listener', TEXT, 'listeners: [{ tls: { ciphers } }]'),
  dhparamfile: ignored('listener', PATH, 'keys are agreed on by elliptic curves'),
  require_certificate: mapped('listener', BOOLEAN, 'listeners: [{ tls: { clientCertificate } }]'),
  tls_version: mapped(
    'listener',
    oneOf('tlsv1.2', 'tlsv1.3'),
    'listeners: [{ tls: { minVersion } }]',
  ),
  use_identity_as_username: mapped('listener', BOOLEAN, 'certificateUserNames: true'),
  use_subject_as_username: mapped('listener', BOOLEAN, 'certificateUserNames: subject'),
  disable_client_cert_date_checks: refused(
    'listener',
    BOOLEAN,
    'a certificate whose time is over is never taken: renew it',
    false,
  ),
  tls_engine: refused('listener', TEXT, ENGINE),
  tls_engine_kpass_sha1: refused('listener', TEXT, ENGINE),
  tls_keyform: refused('listener', oneOf('pem', 'engine'), ENGINE, 'pem'),
  psk_hint: refused('listener', TEXT, PSK),
}

const PluginOptions: Readonly<Record<string, MosquittoOption>> = {
  plugin: refused('plugin', WORDS, PLUGIN),
  auth_plugin: refused('plugin', WORDS, PLUGIN),
  global_plugin: refused('plugin', WORDS, PLUGIN),
  plugin_load: refused('plugin', WORDS, PLUGIN),
  plugin_use: refused('plugin', WORDS, PLUGIN),
  auth_plugin_deny_special_chars: refused('plugin', BOOLEAN, PLUGIN),
}

/** Those that follow `connection`; what they say is said once, at it. */
export const BRIDGE_OPTIONS: readonly string[] = [
  'address',
  'addresses',
  'bridge_alpn',
  'bridge_attempt_unsubscribe',
  'bridge_bind_address',
  'bridge_cafile',
  'bridge_capath',
  'bridge_certfile',
  'bridge_ciphers',
  'bridge_ciphers_tls1.3',
  'bridge_identity',
  'bridge_insecure',
  'bridge_keyfile',
  'bridge_max_packet_size',
  'bridge_max_topic_alias',
  'bridge_outgoing_retain',
  'bridge_protocol_version',
  'bridge_psk',
  'bridge_receive_maximum',
  'bridge_reload_type',
  'bridge_require_ocsp',
  'bridge_session_expiry_interval',
  'bridge_tcp_keepalive',
  'bridge_tcp_user_timeout',
  'bridge_tls_use_os_certs',
  'bridge_tls_version',
  'cleansession',
  'clientid',
  'idle_timeout',
  'keepalive_interval',
  'local_cleansession',
  'local_clientid',
  'local_password',
  'local_username',
  'notification_topic',
  'notifications',
  'notifications_local_only',
  'password',
  'remote_clientid',
  'remote_password',
  'remote_username',
  'restart_timeout',
  'round_robin',
  'start_type',
  'threshold',
  'topic',
  'try_private',
  'username',
]

/** By name. */
export const MosquittoOptions: ReadonlyMap<string, MosquittoOption> = new Map([
  ...Object.entries(GeneralOptions),
  ...Object.entries(AccessOptions),
  ...Object.entries(ListenerOptions),
  ...Object.entries(PluginOptions),
  ['connection', refused('bridge', WORDS, BRIDGE)],
  ...BRIDGE_OPTIONS.map((name): [string, MosquittoOption] => {
    return [name, refused('bridge', WORDS, BRIDGE)]
  }),
])

/** `plugin_opt_*` and `auth_opt_*` have names of their plugin. */
const PLUGIN_PREFIX = /^(?:auth|plugin)_opt_./

export function optionOf(name: string): MosquittoOption | null {
  if (PLUGIN_PREFIX.test(name)) return refused('plugin', WORDS, PLUGIN)
  return MosquittoOptions.get(name) ?? null
}
