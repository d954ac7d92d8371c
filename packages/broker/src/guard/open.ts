// The guard that lets everybody do everything.

import type { AuthenticationVerdict, Guard } from '../core/ports.ts'

const WELCOME: AuthenticationVerdict = Object.freeze({ reasonCode: 0 })
const UNKNOWN_METHOD: AuthenticationVerdict = Object.freeze({ reasonCode: 0x8c })

export class OpenGuard implements Guard {
  readonly authenticates = false
  readonly checksSubscriptions = false
  readonly checksPermissions = false
  readonly generation = 0
  readonly inspectsMessages = false
  readonly authenticationMethods: readonly string[] = []

  authenticate(): AuthenticationVerdict {
    return WELCOME
  }

  proceed(): AuthenticationVerdict {
    return UNKNOWN_METHOD
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
