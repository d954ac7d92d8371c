// Shows every packet to those who asked for it: `onPacket` and `dump`.

import type { Packet } from '@godwit/packet'
import type { EngineOwner } from './engine-owner.ts'
import { invalidArgument, listenerError, type MqttError, watchResult } from './errors.ts'
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
    const failed = (error: MqttError): void => owner.reportError(error)
    const show = (direction: 'sent' | 'received', prefix: string) => {
      return (packet: Packet): void => {
        try {
          watchResult(onPacket?.(direction, packet), failed)
          if (dump !== undefined && describe !== null) {
            watchResult(dump(`${prefix} ${describe(packet)}`), failed)
          }
        } catch (cause) {
          failed(listenerError(cause))
        }
      }
    }
    this.sent = show('sent', 'out')
    this.received = show('received', 'in ')
  }
}
