// JSON text written anew as cJSON does, which Mosquitto uses: numbers as C prints them, repeated
// names kept, and --pretty with tabs. The structure is walked token by token, without recursion.

const TOKEN = /[{}[\],:]|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null/gs

/**
 * Writes JSON anew.
 * @param text must be JSON
 * @param depth of the value within what stands around it, for the tabs
 */
export function rewriteJson(text: string, pretty: boolean, depth: number): string {
  const tokens = text.match(TOKEN) ?? []
  // For each open bracket whether it is an object.
  const open: boolean[] = []
  let result = ''
  const tabs = (more: number): string => '\t'.repeat(depth + open.length + more)
  for (const [index, token] of tokens.entries()) {
    const inObject = open.at(-1) === true
    switch (token) {
      case '{':
        open.push(true)
        if (!pretty) result += '{'
        else result += tokens[index + 1] === '}' ? '{\n' : `{\n${tabs(0)}`
        break
      case '}':
        open.pop()
        if (pretty) result += tokens[index - 1] === '{' ? tabs(0) : `\n${tabs(0)}`
        result += '}'
        break
      case '[':
        open.push(false)
        result += '['
        break
      case ']':
        open.pop()
        result += ']'
        break
      case ',':
        if (!pretty) result += ','
        else result += inObject ? `,\n${tabs(0)}` : ', '
        break
      case ':':
        result += pretty ? ':\t' : ':'
        break
      default:
        result += scalar(token)
    }
  }
  return result
}

function scalar(token: string): string {
  if (token.startsWith('"')) return jsonString(JSON.parse(token) as string)
  return /^[tfn]/.test(token) ? token : jsonNumber(Number(token))
}

/** A string with the escapes that cJSON uses. */
export function jsonString(text: string): string {
  return JSON.stringify(text)
}

/**
 * `%1.15g`, or `%1.17g` where that would be off by more than cJSON minds. So the last digit of a
 * double may go, as it does in mosquitto_sub.
 */
export function jsonNumber(value: number): string {
  if (!Number.isFinite(value)) return 'null'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const short = general(value, 15)
  const isNear = Math.abs(Number(short) - value) <= Math.abs(value) * Number.EPSILON
  return isNear ? short : general(value, 17)
}

/** C's `%.*g`. */
function general(value: number, digits: number): string {
  const [mantissa = '', power = '0'] = value.toExponential(digits - 1).split('e')
  const exponent = Number(power)
  if (exponent < -4 || exponent >= digits) {
    const size = String(Math.abs(exponent)).padStart(2, '0')
    return `${withoutZeros(mantissa)}e${exponent < 0 ? '-' : '+'}${size}`
  }
  return withoutZeros(value.toFixed(Math.max(0, digits - 1 - exponent)))
}

function withoutZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}
