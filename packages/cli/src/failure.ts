// What ends a command early: a text for people and an exit code for scripts.

export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly exitCode: number
  /** Whether the help of the command would have told. */
  readonly isUsage: boolean

  constructor(text: string, exitCode: number, isUsage = false) {
    super(text)
    this.exitCode = exitCode
    this.isUsage = isUsage
  }
}

/** Of `serve` for options and files that cannot be; pub and sub have Mosquitto's 1. */
export const USAGE = 2

/**
 * Of `serve` for what concerns its data: someone else has the directory, it is damaged or newer
 * than this program, or the disk failed.
 */
export const StoreExit = { locked: 73, damaged: 65, failed: 74 } as const

/** An option that is not what it must be. */
export function usage(text: string, exitCode: number = USAGE): never {
  throw new CommandFailure(text, exitCode, true)
}
