// Leaves out of the lite client's build what it never needs and a bundler cannot know that: members
// of classes that it shares with the full client, and packets that it refuses whatever is in them.
// Whoever renames one of them hears of it when the build fails.

import { sep } from 'node:path'

/**
 * The end of a module's path, what of its text is not needed, and what stands there instead.
 * @type {readonly (readonly [string, RegExp, string])[]}
 */
const Unused = [
  ['packet/dist/decoder.js', method('get pendingBytes()'), ''],
  ['packet/dist/decoder.js', method('get unreadBytes()'), ''],
  ['packet/dist/decoder.js', method('takeUnread()'), ''],
  // An AUTH is no packet for who has no authenticator: it falls to what follows.
  [
    'packet/dist/read-packet.js',
    /\n *if \(type === PacketType\.AUTH\)\s+return readAuth\(.*\);/,
    '',
  ],
  // A page cannot stop reading, so nothing is ever paused.
  ['client/dist/link.js', method('setPaused(paused, nowMs)'), ''],
  ['client/dist/link.js', /\n *this\.paused = false;/g, ''],
  ['client/dist/link.js', /\bthis\.paused\b/g, 'false'],
  ['transports/browser-websocket.js', /\n *this\.canPause = false;/, ''],
  ['transports/browser-websocket.js', method('pause()'), ''],
  ['transports/browser-websocket.js', method('resume()'), ''],
  // Reason codes of AUTH.
  ['packet/dist/fields.js', /\n *\[PacketType\.AUTH\]: .*/, ''],
]

/**
 * @param {string} path of a compiled module
 * @param {string} text of it
 * @returns {string}
 */
export function withoutUnused(path, text) {
  let result = text
  for (const [end, what, instead] of Unused) {
    if (!path.replaceAll(sep, '/').endsWith(end)) continue
    const before = result
    result = before.replace(what, instead)
    if (result === before) throw new Error(`${path} has nothing like ${what} any more`)
  }
  return result
}

/**
 * @param {string} head of a method or an accessor
 * @returns {RegExp}
 */
function method(head) {
  return new RegExp(`\\n    ${head.replaceAll(/[()]/g, '\\$&')} \\{\\n(?: {8}.*\\n)*    \\}`)
}
