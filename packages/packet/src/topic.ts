// Topic names and topic filters: what is valid, and which filter matches which topic.
// It keeps no subscriptions: that is the broker's tree.

import { FIELD_BYTES_MAX } from './constants.ts'
import { refuse } from './errors.ts'
import { utf8ByteLength } from './utf8.ts'

const SHARED_PREFIX = '$share/'
const HASH = 0x23
const PLUS = 0x2b

/** A shared subscription's two parts. MQTT 5.0 section 4.8.2. */
export interface SharedFilter {
  readonly shareName: string
  readonly filter: string
}

/** Whether a message can be published to `topic`. MQTT 5.0 section 4.7. */
export function isTopicName(topic: string): boolean {
  return isTopicText(topic) && !topic.includes('#') && !topic.includes('+') // [MQTT-4.7.0-1]
}

/** Whether one can subscribe to `filter`, shared (`$share/name/filter`) or not. */
export function isTopicFilter(filter: string): boolean {
  if (!isTopicText(filter)) return false
  return filter.startsWith(SHARED_PREFIX) ? parseSharedFilter(filter) !== null : hasLevels(filter)
}

/**
 * The parts of a shared subscription.
 * @returns null when `filter` is not shared, or is a shared one that is not valid
 */
export function parseSharedFilter(filter: string): SharedFilter | null {
  if (!filter.startsWith(SHARED_PREFIX)) return null
  const slash = filter.indexOf('/', SHARED_PREFIX.length)
  if (slash < 0) return null
  const shareName = filter.slice(SHARED_PREFIX.length, slash)
  const inner = filter.slice(slash + 1)
  // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
  return isTopicName(shareName) && inner !== '' && hasLevels(inner)
    ? { shareName, filter: inner }
    : null
}

/** Whether `filter` names more than one topic. */
export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#')
}

/**
 * Whether a message to `topic` belongs to a subscription of `filter`. MQTT 5.0 section 4.7.
 * Both must be valid; of a shared subscription give the inner filter.
 */
export function topicMatches(filter: string, topic: string): boolean {
  // [MQTT-4.7.2-1]
  if (topic.startsWith('$') && !filter.startsWith('$')) return false
  let at = 0
  for (let i = 0; i < filter.length; i++) {
    const wanted = filter.charCodeAt(i)
    if (wanted === HASH) return true
    if (wanted === PLUS) {
      const slash = topic.indexOf('/', at)
      at = slash < 0 ? topic.length : slash
    } else if (wanted === topic.charCodeAt(at)) {
      at++
    } else {
      // "a/#" matches "a" itself.
      return at === topic.length && i === filter.length - 2 && filter.endsWith('/#')
    }
  }
  return at === topic.length
}

/** @throws PacketError `topic-name-invalid` */
export function checkTopicName(topic: string): void {
  if (isTopicName(topic)) return // [MQTT-3.3.2-2]
  refuse('topic-name-invalid', 0x90, `a topic ${topic === '' ? 'is empty' : 'contains a wildcard'}`)
}

/** @throws PacketError `topic-filter-invalid` */
export function checkTopicFilter(filter: string): void {
  if (isTopicFilter(filter)) return
  const text = `not a topic filter: ${JSON.stringify(filter.slice(0, 40))}`
  refuse('topic-filter-invalid', 0x8f, text)
}

function isTopicText(text: string): boolean {
  // A UTF-16 unit takes at most three bytes, so most texts need no counting.
  // [MQTT-4.7.3-3]
  return (
    text !== '' && // [MQTT-4.7.3-1]
    !text.includes('\0') && // [MQTT-4.7.3-2]
    (text.length * 3 <= FIELD_BYTES_MAX || utf8ByteLength(text) <= FIELD_BYTES_MAX)
  )
}

function hasLevels(filter: string): boolean {
  for (let i = 0; i < filter.length; i++) {
    const char = filter[i]
    if (char !== '#' && char !== '+') continue
    if (i > 0 && filter[i - 1] !== '/') return false
    if (i + 1 === filter.length) continue
    if (char === '#' || filter[i + 1] !== '/') return false // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
  }
  return true
}
