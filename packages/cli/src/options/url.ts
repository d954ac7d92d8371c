// URLs: that of -L is read as Mosquitto reads it, the first slash ends the host, the rest is
// the topic; one that is a word of its own is read as programs for MQTT write it.

import { usage } from '../failure.ts'
import type { ClientChoice } from './choice.ts'
import { addTopic, leadingInteger, WRONG } from './option.ts'

interface Scheme {
  readonly port: number
  readonly secure: boolean
  readonly webSocket: boolean
}

const Schemes: Readonly<Record<string, Scheme>> = {
  mqtt: { port: 1883, secure: false, webSocket: false },
  mqtts: { port: 8883, secure: true, webSocket: false },
  ws: { port: 1883, secure: false, webSocket: true },
  wss: { port: 8883, secure: true, webSocket: true },
}

/** Of ws: and wss: URLs that are not -L's. RFC 6455 section 3. */
const WebPorts = [80, 443] as const
const URL_PARTS = /^([a-z]+):\/\/(.*)$/is

/** `mqtt(s)://` or `ws(s)://[user[:password]@]host[:port]/topic`. */
export function applyUrl(choice: ClientChoice, url: string): void {
  const [, name = '', rest = ''] = URL_PARTS.exec(url) ?? []
  const scheme = Schemes[name.toLowerCase()]
  if (scheme === undefined) {
    usage(`Unsupported URL scheme: -L takes mqtt, mqtts, ws or wss://, not ${url}`, WRONG)
  }
  const slash = rest.indexOf('/')
  if (slash < 0) usage(`Invalid URL for -L argument specified - topic missing: ${url}`, WRONG)
  addTopic(choice, rest.slice(slash + 1))
  applyAuthority(choice, rest.slice(0, slash))
  choice.port ??= scheme.port
  applyScheme(choice, scheme)
}

/**
 * A URL that is a word, as it is written elsewhere: `mqtt(s)://host[:port]`, `unix:/path`, and
 * `ws(s)://host[:port]/path`, whose path is where the WebSocket is.
 * @returns the path of an mqtt: URL without its slash: a topic; '' when there is none
 */
export function applyAddress(choice: ClientChoice, url: string): string {
  const [, socket] = /^unix:(?:\/\/)?(\/.+)$/is.exec(url) ?? []
  if (socket !== undefined) {
    choice.unix = decode(socket)
    return ''
  }
  const [, name = '', rest = ''] = URL_PARTS.exec(url) ?? []
  const scheme = Schemes[name.toLowerCase()]
  if (scheme === undefined) {
    usage(`expected mqtt, mqtts, ws or wss://host, or unix:/path, not ${url}`, WRONG)
  }
  const slash = rest.indexOf('/')
  const path = slash < 0 ? '' : rest.slice(slash)
  const { port } = choice
  applyAuthority(choice, slash < 0 ? rest : rest.slice(0, slash))
  choice.port ??= port ?? (scheme.webSocket ? WebPorts[scheme.secure ? 1 : 0] : scheme.port)
  applyScheme(choice, scheme)
  if (!scheme.webSocket) return path.slice(1)
  if (path !== '') choice.webSocketPath = webSocketPath(path)
  return ''
}

/** The word of `check`: such a URL, or `host[:port]`. */
export function applyServer(choice: ClientChoice, text: string): void {
  if (/^(?:[a-z]+:\/\/|unix:)/i.test(text)) {
    applyAddress(choice, text)
    return
  }
  const authority = text.replace(/\/.*$/s, '')
  applyAuthority(choice, authority.startsWith(':') ? `localhost${authority}` : authority)
}

/** What a GET may ask for. @throws CommandFailure */
export function webSocketPath(text: string): string {
  if (/^\/[\x21-\x7e]*$/.test(text)) return text
  return usage(
    `--ws-path takes a path that begins with a slash, not ${JSON.stringify(text)}`,
    WRONG,
  )
}

function applyScheme(choice: ClientChoice, scheme: Scheme): void {
  choice.secureUrl = scheme.secure
  if (scheme.webSocket) choice.webSocket = true
}

function applyAuthority(choice: ClientChoice, authority: string): void {
  // A password may have an @ in it, a host has none.
  const at = authority.lastIndexOf('@')
  if (at >= 0) {
    const credentials = authority.slice(0, at)
    const colon = credentials.indexOf(':')
    choice.username = decode(colon < 0 ? credentials : credentials.slice(0, colon))
    if (colon >= 0) choice.password = decode(credentials.slice(colon + 1))
  }
  const [, address, plain, port] =
    /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/s.exec(authority.slice(at + 1)) ?? []
  const host = address ?? plain ?? ''
  if (host === '')
    usage(`Invalid URL for -L argument specified - host missing: ${authority}`, WRONG)
  choice.host = host
  choice.port = port === undefined ? null : leadingInteger(port)
}

/** Percent signs that encode nothing are what they are: Mosquitto does not decode at all. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The proxy of `--proxy socks5h://[user[:password]@]host[:port]`. */
export function applyProxy(choice: ClientChoice, text: string): void {
  const match =
    /^socks5h:\/\/(?:([^:@]+)(?::([^@]*))?@)?(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/s.exec(text)
  if (match === null) {
    usage(`--proxy takes socks5h://[user[:password]@]host[:port], not ${text}`, WRONG)
  }
  const [, username, password, address, host, port] = match
  choice.proxy = {
    host: address ?? host ?? '',
    port: port === undefined ? 1080 : leadingInteger(port),
    username: username === undefined ? null : decode(username),
    password: password === undefined ? null : decode(password),
  }
}
