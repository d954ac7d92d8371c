// What can go wrong in the store, told apart by `code`.

export type StoreErrorCode =
  /** Another process, or this one, has the directory open. */
  | 'locked'
  /** What is on disk is not what was written; `--salvage` goes on. */
  | 'corrupt'
  /** Written by a newer version of this program. */
  | 'newer-version'
  /** The disk is full; the store waits for space. */
  | 'disk-full'
  /** Reading, writing or syncing failed: nothing can be promised any more. */
  | 'io'
  /** The store was closed. */
  | 'closed'
  /** A file that is imported is not an export of this program. */
  | 'invalid-import'
  /** An import would replace what the store holds. */
  | 'not-empty'

export class StoreError extends Error {
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, text: string, cause?: unknown) {
    super(text, cause === undefined ? undefined : { cause })
    this.name = 'StoreError'
    this.code = code
  }
}

/** An error of the operating system about the directory of a store; others stay as they are. */
export function directoryError(directory: string, error: unknown): unknown {
  if (error instanceof StoreError || systemCode(error) === '') return error
  return new StoreError('io', `${directory} cannot hold a store: ${textOf(error)}`, error)
}

/** The code of an error from the operating system, else ''. */
export function systemCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** True for the errors that end when somebody makes room. */
export function isOutOfSpace(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
