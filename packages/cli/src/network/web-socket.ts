// A broker behind WebSockets: these are the client's own, which dials them by URL.

import type { TlsOptions } from '@godwit/client'
import type { ClientChoice } from '../options/choice.ts'
import { placeOf } from './dial.ts'
import { tlsSettings, wantsTls } from './tls-settings.ts'

/** Where the WebSocket is. */
export function webSocketUrl(choice: ClientChoice): string {
  const { host, port } = placeOf(choice)
  const name = host.includes(':') ? `[${host}]` : host
  return `${wantsTls(choice) ? 'wss' : 'ws'}://${name}:${port}${choice.webSocketPath}`
}

/** What the client dials it with. @throws CommandFailure for a file that cannot be read */
export function webSocketOptions(choice: ClientChoice): {
  tls?: TlsOptions
  localAddress?: string
} {
  const { bindAddress } = choice
  return {
    ...(wantsTls(choice) ? { tls: tlsOptions(choice) } : {}),
    ...(bindAddress === null ? {} : { localAddress: bindAddress }),
  }
}

function tlsOptions(choice: ClientChoice): TlsOptions {
  const { ca, cert, key, ciphers, minVersion, ALPNProtocols } = tlsSettings(choice)
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(minVersion === undefined ? {} : { minVersion }),
    ...(ALPNProtocols === undefined ? {} : { alpn: ALPNProtocols }),
    ...(choice.insecure ? { verify: false } : {}),
  } as TlsOptions
}
