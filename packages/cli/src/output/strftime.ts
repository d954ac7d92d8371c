// What C's strftime makes of one conversion in the C locale, for @X of -F.

const Days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const Months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const DAY_MS = 86_400_000

/** @param letter as it stands behind @; what strftime does not know comes back as `%` and it */
export function strftime(letter: string, date: Date): string {
  const simple = Numbers[letter]
  if (simple !== undefined) return simple(date)
  const composed = Composed[letter]
  if (composed !== undefined) {
    return composed.replace(/%(.)/g, (_all, inner: string) => strftime(inner, date))
  }
  return `%${letter}`
}

const Numbers: Readonly<Record<string, (date: Date) => string>> = {
  '%': () => '%',
  n: () => '\n',
  t: () => '\t',
  a: date => (Days[date.getDay()] ?? '').slice(0, 3),
  A: date => Days[date.getDay()] ?? '',
  b: date => (Months[date.getMonth()] ?? '').slice(0, 3),
  h: date => (Months[date.getMonth()] ?? '').slice(0, 3),
  B: date => Months[date.getMonth()] ?? '',
  C: date => two(Math.floor(date.getFullYear() / 100)),
  d: date => two(date.getDate()),
  e: date => String(date.getDate()).padStart(2, ' '),
  g: date => two(isoWeek(date).year % 100),
  G: date => String(isoWeek(date).year),
  H: date => two(date.getHours()),
  I: date => two(hour12(date)),
  j: date => String(dayOfYear(date) + 1).padStart(3, '0'),
  k: date => String(date.getHours()).padStart(2, ' '),
  l: date => String(hour12(date)).padStart(2, ' '),
  m: date => two(date.getMonth() + 1),
  M: date => two(date.getMinutes()),
  p: date => (date.getHours() < 12 ? 'AM' : 'PM'),
  P: date => (date.getHours() < 12 ? 'am' : 'pm'),
  s: date => String(Math.floor(date.getTime() / 1000)),
  S: date => two(date.getSeconds()),
  u: date => String(date.getDay() === 0 ? 7 : date.getDay()),
  U: date => two(Math.floor((dayOfYear(date) + 7 - date.getDay()) / 7)),
  V: date => two(isoWeek(date).week),
  w: date => String(date.getDay()),
  W: date => two(Math.floor((dayOfYear(date) + 7 - ((date.getDay() + 6) % 7)) / 7)),
  y: date => two(date.getFullYear() % 100),
  Y: date => String(date.getFullYear()),
  z: date => zoneOffset(date),
  Z: date => zoneName(date),
}

const Composed: Readonly<Record<string, string>> = {
  c: '%a %b %e %H:%M:%S %Y',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  r: '%I:%M:%S %p',
  R: '%H:%M',
  T: '%H:%M:%S',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
}

function two(number: number): string {
  return String(number).padStart(2, '0')
}

function hour12(date: Date): number {
  return date.getHours() % 12 === 0 ? 12 : date.getHours() % 12
}

function dayOfYear(date: Date): number {
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())
  return Math.round((day - Date.UTC(date.getFullYear(), 0, 1)) / DAY_MS)
}

/** Week 1 is the one with the year's first Thursday. ISO 8601. */
function isoWeek(date: Date): { year: number; week: number } {
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())
  const thursday = new Date(day + (3 - ((date.getDay() + 6) % 7)) * DAY_MS)
  const year = thursday.getUTCFullYear()
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS))
  return { year, week }
}

function zoneOffset(date: Date): string {
  const minutes = -date.getTimezoneOffset()
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`
}

function zoneName(date: Date): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(date)
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? ''
}
