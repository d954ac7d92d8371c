// What a user of Mosquitto is told whose mosquitto.conf is given to `serve --config`: that it is
// not read, and what its options are called here. docs/moving.md has the same at length.

const LISTENER = 'listeners: [{ port, host }]'
const TLS = 'listeners: [{ tls: … }]'
const HOOK = 'a hook: see docs/broker.md'
const ALWAYS = 'nothing: it is always so'
const SERVICE = "nothing: the service manager's"
const LOG = 'log: { level, format }, on standard output'
const MISSING = 'not there'

/** Options of mosquitto.conf (2.0), those of bridges left out, and their place in the YAML file. */
export const MosquittoOptions: Readonly<Record<string, string>> = {
  listener: LISTENER,
  port: LISTENER,
  bind_address: LISTENER,
  bind_interface: 'listeners: [{ host }], an address of the interface',
  socket_domain: 'listeners: [{ host }], an address of this family',
  protocol: 'listeners: [{ ws: true }] for websockets',
  max_connections: 'limits: { connectionsMax }',
  cafile: 'listeners: [{ tls: { caFile } }]',
  capath: 'listeners: [{ tls: { caFile } }], all in one file',
  certfile: 'listeners: [{ tls: { certFile } }]',
  keyfile: 'listeners: [{ tls: { keyFile } }]',
  crlfile: 'listeners: [{ tls: { crlFile } }]',
  ciphers: 'listeners: [{ tls: { ciphers } }]',
  require_certificate: 'listeners: [{ tls: { clientCertificate } }]',
  tls_version: 'listeners: [{ tls: { minVersion } }]',
  dhparamfile: `${TLS}: nothing, elliptic curves are used`,
  tls_engine: MISSING,
  tls_keyform: MISSING,
  psk_file: MISSING,
  psk_hint: MISSING,
  use_identity_as_username: 'certificateUserNames: true',
  use_subject_as_username: HOOK,
  use_username_as_clientid: HOOK,
  password_file: 'passwordFile',
  acl_file: 'aclFile',
  allow_anonymous: 'allowAnonymous, beside passwordFile',
  auth_plugin: HOOK,
  auth_plugin_deny_special_chars: 'nothing: the hook sees them',
  plugin: HOOK,
  clientid_prefixes: HOOK,
  per_listener_settings: MISSING,
  mount_point: MISSING,
  persistence: 'data: a directory, or none',
  persistence_location: 'data',
  persistence_file: 'nothing: its files have names of their own',
  autosave_interval: 'nothing: what is acknowledged is on disk',
  autosave_on_changes: 'nothing: what is acknowledged is on disk',
  persistent_client_expiration: 'limits: { legacySessionExpirySeconds, sessionExpirySecondsMax }',
  max_inflight_messages: 'limits: { inflightMax }',
  max_inflight_bytes: MISSING,
  max_queued_messages: 'limits: { queuedMessagesMax }',
  max_queued_bytes: 'limits: { queuedBytesMax }',
  queue_qos0_messages: MISSING,
  max_packet_size: 'limits: { packetBytesMax }',
  message_size_limit: 'limits: { packetBytesMax }',
  memory_limit: 'limits: { totalQueuedBytesMax, totalOutgoingBytesMax, retainedBytesMax }',
  max_keepalive: 'limits: { keepAliveSecondsMax }',
  max_qos: 'limits: { maximumQoS }',
  max_topic_alias: 'limits: { topicAliasMaximum }',
  retain_available: 'limits: { retainAvailable }',
  check_retain_source: 'not there: who may read decides, not who wrote',
  allow_duplicate_messages: 'nothing: one copy per session, as with false',
  upgrade_outgoing_qos: MISSING,
  allow_zero_length_clientid: ALWAYS,
  auto_id_prefix: MISSING,
  set_tcp_nodelay: ALWAYS,
  sys_interval: 'statsIntervalSeconds',
  log_dest: LOG,
  log_type: LOG,
  log_facility: LOG,
  log_timestamp: LOG,
  log_timestamp_format: LOG,
  websockets_log_level: LOG,
  connection_messages: 'log: { level: debug }',
  websockets_headers_size: MISSING,
  http_dir: MISSING,
  include_dir: MISSING,
  pid_file: SERVICE,
  user: SERVICE,
  connection: 'not there: a bridge of two commands, see docs/moving.md',
}

/** @returns what to say of a file that is Mosquitto's, or null when it is not */
export function mosquittoText(text: string, path: string): string | null {
  const found = text.split('\n').flatMap((line, index) => {
    const [, name = ''] = /^\s*([a-z_]+)[ \t]+[^:\s]/.exec(line) ?? []
    return Object.hasOwn(MosquittoOptions, name) ? [{ name, line: index + 1 }] : []
  })
  const [first] = found
  if (first === undefined) return null
  const names = [...new Set(found.map(({ name }) => name))]
  const width = Math.max(...names.map(name => name.length)) + 2
  const rows = names.map(name => `  ${name.padEnd(width)}${MosquittoOptions[name]}`)
  return [
    `${path}:${first.line}:1: expected YAML, got the configuration of Mosquitto. It is not read;`,
    'its password and ACL files are. What stands in it is called in a godwit.yaml:',
    ...rows,
    'docs/moving.md has every option, with an example; --check tells whether a file is valid',
  ].join('\n')
}
