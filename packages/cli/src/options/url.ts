// The URL of -L, read as Mosquitto reads it: the first slash ends the host, and all that follows is
// the topic.

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

/** `mqtt(s)://` or `ws(s)://[user[:password]@]host[:port]/topic`. */
export function applyUrl(choice: ClientChoice, url: string): void {
  const [, name = '', rest = ''] = /^([a-z]+):\/\/(.*)$/is.exec(url) ?? []
  const scheme = Schemes[name.toLowerCase()]
  if (scheme === undefined) {
    usage(`Unsupported URL scheme: -L takes mqtt, mqtts, ws or wss://, not ${url}`, WRONG)
  }
  const slash = rest.indexOf('/')
  if (slash < 0) usage(`Invalid URL for -L argument specified - topic missing: ${url}`, WRONG)
  addTopic(choice, rest.slice(slash + 1))
  applyAuthority(choice, rest.slice(0, slash))
  choice.port ??= scheme.port
  choice.secureUrl = scheme.secure
  if (scheme.webSocket) choice.webSocket = true
}

/** The word of `check`: `mqtt(s)://[user[:password]@]host[:port]`, or `host[:port]`. */
export function applyServer(choice: ClientChoice, text: string): void {
  const [, name = 'mqtt', rest = text] = /^([a-z]+):\/\/(.*)$/is.exec(text) ?? []
  const scheme = Schemes[name.toLowerCase()]
  if (scheme === undefined || scheme.webSocket) {
    usage(`expected mqtt://host, mqtts://host or host:port, not ${text}`, WRONG)
  }
  const authority = rest.replace(/\/.*$/s, '')
  applyAuthority(choice, authority.startsWith(':') ? `localhost${authority}` : authority)
  if (scheme.secure) choice.secureUrl = true
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
function decode(text: string): string {
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
