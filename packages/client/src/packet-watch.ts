// Shows every packet to those who asked for it: `onPacket` and `dump`.

import type { Packet } from '@godwit/packet'
import type { EngineOwner } from './engine-owner.ts'
import { invalidArgument, listenerError } from './errors.ts'
import type { ConnectOptions } from './options.ts'
import type { Platform } from './transport.ts'

export class PacketWatch {
  readonly sent: (packet: Packet) => void
  readonly received: (packet: Packet) => void

  /** @throws MqttError `invalid-argument` when this platform has no text for packets */
  constructor(options: ConnectOptions, platform: Platform, owner: EngineOwner) {
    const { onPacket, dump } = options
    const { describe } = platform
    if (dump !== undefined && describe === null) {
      throw invalidArgument('dump is for Node: use onPacket, with describePacket of @godwit/packet')
    }
    const show = (direction: 'sent' | 'received', prefix: string) => {
      return (packet: Packet): void => {
        try {
          onPacket?.(direction, packet)
          if (dump !== undefined && describe !== null) dump(`${prefix} ${describe(packet)}`)
        } catch (cause) {
          owner.reportError(listenerError(cause))
        }
      }
    }
    this.sent = show('sent', 'out')
    this.received = show('received', 'in ')
  }
}
