// A client at the door, as the hooks of `godwit serve` see it.

import type { ConnectingClient } from '@godwit/broker'

export interface Comer {
  readonly listener?: string
  readonly username?: string
  readonly password?: string
  readonly clientId?: string
  readonly commonName?: string
}

export function comer(who: Comer): ConnectingClient {
  const { listener = 'tcp', username, password, clientId = 'c', commonName } = who
  const certificate =
    commonName === undefined ? null : { commonName, names: [], subject: `CN=${commonName}` }
  const origin = {
    transport: 'tcp',
    remoteAddress: '',
    remotePort: 0,
    listener,
    certificate,
  } as const
  return {
    origin,
    clientId,
    protocolLevel: 5,
    cleanStart: true,
    username: username ?? null,
    password: password === undefined ? null : Buffer.from(password),
    will: null,
    properties: {},
  }
}
