// Everybody may do everything, said at once.

import type { AuthenticationVerdict, Guard } from '@godwit/broker/core/ports'

export class OpenGuard implements Guard {
  readonly authenticates = false
  readonly checksSubscriptions = false
  readonly checksPermissions = false
  readonly generation = 0
  readonly inspectsMessages = false
  readonly authenticationMethods: readonly string[] = []

  authenticate(): AuthenticationVerdict {
    return { reasonCode: 0 }
  }

  proceed(): AuthenticationVerdict {
    return { reasonCode: 0x8c }
  }

  abandon(): void {
    // Nothing was begun.
  }

  unusable(): void {
    // It changes no message.
  }

  mayPublish(): number {
    return 0
  }

  maySubscribe(): number {
    return 0
  }

  mayReceive(): boolean {
    return true
  }

  inspect(): number {
    return 0
  }
}
