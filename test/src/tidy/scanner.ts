// A scanner for TypeScript sources: it tells code from strings, comments and regular expressions,
// and finds where functions begin and end. It is no parser: what it does not need it does not know.

/** A piece of text and the line (from 1) on which it begins. */
export interface Piece {
  readonly line: number
  readonly text: string
}

export interface Scan {
  /** The source with strings, comments and regular expressions blanked; as long as the source. */
  readonly code: string
  readonly comments: readonly Piece[]
  /** The texts of string and template literals, without their quotes. */
  readonly strings: readonly Piece[]
}

/** A function with a body. */
export interface FunctionSpan {
  readonly line: number
  readonly lines: number
}

const REGEX_AFTER_WORD = /\b(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield)$/
const REGEX_AFTER_SIGN = /[=([{},;:?!&|+\-*%~^<>]$/
const CONTROL_WORDS = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'await'])
// `name()`, `name(): Type` or `=>` at the end of what stands before a brace; the parentheses of a
// head have been emptied.
const FUNCTION_HEAD = /(?:([\w$]+|[\]>])\s*\(\)\s*(?::\s*(?:=>|[^=;])+)?|=>)\s*$/
// A brace after this belongs to the type that a function returns: `(): { a: number } {`.
const TYPE_HEAD = /\(\)\s*:(?:[^=;]*[<|&,])?\s*$/
const SUITE_HEAD = /\b(?:describe|suite)\s*$/

/** Tells the code of a source from its strings and comments. */
export function scan(source: string): Scan {
  return new Scanner(source).run()
}

class Scanner {
  readonly #source: string
  readonly #code: string[] = []
  readonly #comments: Piece[] = []
  readonly #strings: Piece[] = []
  // For each template literal that is open: how many braces are open in its `${`.
  readonly #templates: number[] = []
  #at = 0
  #line = 1

  constructor(source: string) {
    this.#source = source
  }

  run(): Scan {
    if (this.#source.startsWith('#!')) this.#comment(this.#endOfLine())
    while (this.#at < this.#source.length) this.#step()
    return { code: this.#code.join(''), comments: this.#comments, strings: this.#strings }
  }

  #step(): void {
    const char = this.#source.charAt(this.#at)
    const next = this.#source.charAt(this.#at + 1)
    if (char === '/' && next === '/') this.#comment(this.#endOfLine())
    else if (char === '/' && next === '*') this.#comment(this.#endOfBlockComment())
    else if (char === '/' && this.#isRegex()) this.#blank(this.#endOfRegex())
    else if (char === "'" || char === '"') this.#string(char)
    else if (char === '`') this.#template()
    else this.#other(char)
  }

  #other(char: string): void {
    const open = this.#templates.length - 1
    const depth = this.#templates[open]
    if (depth === 0 && char === '}') {
      this.#templates.pop()
      this.#template()
      return
    }
    if (depth !== undefined && char === '{') this.#templates[open] = depth + 1
    if (depth !== undefined && char === '}') this.#templates[open] = depth - 1
    this.#keep()
  }

  #endOfLine(): number {
    const end = this.#source.indexOf('\n', this.#at)
    return end === -1 ? this.#source.length : end
  }

  #endOfBlockComment(): number {
    const end = this.#source.indexOf('*/', this.#at + 2)
    return end === -1 ? this.#source.length : end + 2
  }

  #isRegex(): boolean {
    const before = this.#code.slice(-200).join('').trimEnd()
    return before === '' || REGEX_AFTER_SIGN.test(before) || REGEX_AFTER_WORD.test(before)
  }

  #endOfRegex(): number {
    let inClass = false
    for (let i = this.#at + 1; i < this.#source.length; i++) {
      const char = this.#source.charAt(i)
      if (char === '\n') return i
      if (char === '\\') i++
      else if (char === '[') inClass = true
      else if (char === ']') inClass = false
      else if (char === '/' && !inClass) return i + 1
    }
    return this.#source.length
  }

  #string(quote: string): void {
    let end = this.#at + 1
    while (end < this.#source.length && this.#source.charAt(end) !== quote) {
      if (this.#source.charAt(end) === '\n') break
      end += this.#source.charAt(end) === '\\' ? 2 : 1
    }
    this.#literal(end)
    this.#keep()
  }

  // Begins at the backtick, or at the brace that ends a `${…}`.
  #template(): void {
    let end = this.#at + 1
    while (end < this.#source.length && this.#source.charAt(end) !== '`') {
      if (this.#source.startsWith('${', end)) break
      end += this.#source.charAt(end) === '\\' ? 2 : 1
    }
    this.#literal(end)
    if (this.#source.charAt(this.#at) === '$') {
      this.#keep()
      this.#templates.push(0)
    }
    this.#keep()
  }

  // Keeps the opening quote and blanks the text up to `end`.
  #literal(end: number): void {
    this.#strings.push({ line: this.#line, text: this.#source.slice(this.#at + 1, end) })
    this.#keep()
    this.#blank(end)
  }

  #comment(end: number): void {
    this.#comments.push({ line: this.#line, text: this.#source.slice(this.#at, end) })
    this.#blank(end)
  }

  #keep(): void {
    const char = this.#source.charAt(this.#at++)
    if (char === '\n') this.#line++
    this.#code.push(char)
  }

  #blank(end: number): void {
    while (this.#at < end) {
      const char = this.#source.charAt(this.#at++)
      if (char === '\n') this.#line++
      this.#code.push(char === '\n' ? '\n' : ' ')
    }
  }
}

interface Frame {
  readonly open: string
  readonly line: number
  /** Where the function that this brace opens begins; 0 when it opens none. */
  readonly functionLine: number
  /** What was read at this depth since the last statement, nested text left out. */
  head: string
  /** The line of the last parenthesis that was opened at this depth. */
  parenLine: number
}

/** Functions with a body, the callbacks of `describe` left out. Takes the code of a scan. */
export function functionsIn(code: string): FunctionSpan[] {
  const spans: FunctionSpan[] = []
  const frames: Frame[] = [{ open: '', line: 1, functionLine: 0, head: '', parenLine: 1 }]
  let line = 1
  for (const char of code) {
    const top = frames[frames.length - 1]
    if (top === undefined) break
    if (char === '\n') line++
    if ('([{'.includes(char)) {
      if (char === '(') top.parenLine = line
      const functionLine = char === '{' ? functionLineOf(top, frames[frames.length - 2], line) : 0
      frames.push({ open: char, line, functionLine, head: '', parenLine: line })
    } else if (')]}'.includes(char) && frames.length > 1) {
      const parent = frames[frames.length - 2]
      frames.pop()
      if (top.functionLine > 0) {
        spans.push({ line: top.functionLine, lines: line - top.functionLine + 1 })
      }
      if (parent !== undefined) parent.head = closed(parent.head, top)
    } else {
      top.head = char === ';' ? '' : top.head + char
    }
  }
  return spans
}

function functionLineOf(frame: Frame, parent: Frame | undefined, line: number): number {
  const match = FUNCTION_HEAD.exec(frame.head)
  if (match === null || TYPE_HEAD.test(frame.head) || CONTROL_WORDS.has(match[1] ?? '')) return 0
  const isSuite = frame.open === '(' && parent !== undefined && SUITE_HEAD.test(parent.head)
  if (isSuite) return 0
  return frame.head.trimEnd().endsWith('() =>') || match[1] !== undefined ? frame.parenLine : line
}

function closed(head: string, frame: Frame): string {
  if (frame.open === '(') return `${head}()`
  if (frame.open === '[') return `${head}[]`
  return TYPE_HEAD.test(head) ? `${head}T` : ''
}
