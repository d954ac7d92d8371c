// Leaves out of the lite client's build what it never calls and a bundler cannot know that: members
// of classes that it shares with the full client, and packets that it refuses whatever is in them.
// Whoever renames one of them hears of it when the build fails.

import { sep } from 'node:path'

/** The end of a module's path, and what of it is not called. */
const Unused = new Map([
  ['packet/dist/decoder.js', ['get pendingBytes()', 'get unreadBytes()', 'takeUnread()']],
  ['client/dist/link.js', ['setPaused(paused, nowMs)']],
])

/** An AUTH is no packet for who has no authenticator: it falls to what follows. */
const READS_AUTH = /\n *if \(type === PacketType\.AUTH\)\s+return readAuth\([^)]*\);/
const READER = 'packet/dist/read-packet.js'

/**
 * @param {string} path of a compiled module
 * @param {string} text of it
 * @returns {string}
 */
export function withoutUnused(path, text) {
  const unix = path.replaceAll(sep, '/')
  if (unix.endsWith(READER)) return without(path, text, READS_AUTH)
  const [, members = []] = [...Unused].find(([end]) => unix.endsWith(end)) ?? []
  return members.reduce((before, member) => {
    const head = member.replaceAll(/[()]/g, '\\$&')
    return without(path, before, new RegExp(`\\n    ${head} \\{\\n(?: {8}.*\\n)*    \\}`))
  }, text)
}

/**
 * @param {string} path
 * @param {string} text
 * @param {RegExp} what
 * @returns {string}
 */
function without(path, text, what) {
  if (!what.test(text)) throw new Error(`${path} has nothing like ${what} any more`)
  return text.replace(what, '')
}
