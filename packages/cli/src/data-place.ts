// Where a broker keeps its data, in the words of `--data` and `data:`.

import type { BrokerOptions } from '@godwit/broker'

/** What `--data` and `data:` stand for. */
export function storeOf(data: string): NonNullable<BrokerOptions['store']> {
  return data === 'none' ? 'none' : { directory: data }
}
