// Leaves explanations out of a compiled module: the texts that only say more than the code of an
// error does. Each place is a call of a function of the table; what it is given there is dropped.

/** Functions that take an explanation, and from which argument on nothing else follows. */
const Explained = new Map([
  ['malformed', 0],
  ['protocolError', 0],
  ['invalidPacket', 0],
  ['refuse', 1],
  ['refuseLength', 0],
  ['PacketError', 2],
  ['checkInteger', 3],
  ['checkObject', 1],
  ['checkBytes', 1],
  ['checkList', 1],
  ['checkTopicNameToWrite', 1],
  ['binary', 1],
  ['raw', 1],
  ['string', 1],
])

const CALL = /(?<!function )\b(\w+)\(/g

/**
 * @param {string} text of a compiled module
 * @returns {string}
 */
export function withoutTexts(text) {
  let result = ''
  let at = 0
  for (const { 0: call, 1: name = '', index } of text.matchAll(CALL)) {
    const kept = Explained.get(name)
    if (kept === undefined || index < at) continue
    const start = index + call.length
    const { commas, end } = argumentsOf(text, start)
    const from = kept === 0 ? start : commas[kept - 1]
    // A method of this name is declared here.
    if (from === undefined || text.startsWith(') {', end)) continue
    result += text.slice(at, from)
    at = end
  }
  return result + text.slice(at)
}

/**
 * @param {string} text
 * @param {number} start behind the opening parenthesis
 * @returns {{ commas: number[], end: number }} where the arguments are parted, and the closing one
 */
function argumentsOf(text, start) {
  /** @type {number[]} */
  const commas = []
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const char = text[at] ?? ''
    if (char === "'" || char === '`' || char === '"') at = endOfString(text, at)
    else if ('([{'.includes(char)) depth++
    else if (depth === 0 && char === ')') return { commas, end: at }
    else if (')]}'.includes(char)) depth--
    else if (depth === 0 && char === ',') commas.push(at)
  }
  throw new Error('a call without an end')
}

/**
 * @param {string} text
 * @param {number} start of a string or of a template without templates in it
 * @returns {number} where its last quote is
 */
function endOfString(text, start) {
  const quote = text[start]
  let at = start + 1
  while (at < text.length && text[at] !== quote) at += text[at] === '\\' ? 2 : 1
  return at
}
