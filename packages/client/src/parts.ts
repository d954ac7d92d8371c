// What only some clients need, in one place: in Node it is there, a page loads it when it is first
// asked for. What every page needs to connect, subscribe and publish must not be in here.

import { Authentication } from './authentication.ts'
import { PacketWatch } from './packet-watch.ts'
import { Requests } from './requests.ts'
import { StoreWriter } from './store-writer.ts'
import { adoptStream } from './transports/adopt.ts'
import { Unclaimed } from './unclaimed.ts'

export interface Parts {
  readonly Authentication: typeof Authentication
  readonly PacketWatch: typeof PacketWatch
  readonly Requests: typeof Requests
  readonly StoreWriter: typeof StoreWriter
  readonly Unclaimed: typeof Unclaimed
  readonly adoptStream: typeof adoptStream
}

export const AllParts: Parts = {
  Authentication,
  PacketWatch,
  Requests,
  StoreWriter,
  Unclaimed,
  adoptStream,
}
