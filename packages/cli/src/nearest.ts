// Which of the names that there are was meant by one that there is not. The broker has the same for
// the names of its options: neither imports the other for so little.

const DISTANCE_MAX = 2
const BEGINNING_MIN = 4

/**
 * The name with the same words, else with the fewest letters to add, take away or change, else
 * one that begins with it.
 * @returns null when none is near enough to be meant
 */
export function nearest(text: string, names: readonly string[]): string | null {
  const words = wordsOf(text)
  const alike = words === '' ? undefined : names.find(name => wordsOf(name) === words)
  if (alike !== undefined) return alike
  let best: string | null = null
  let least = Math.min(DISTANCE_MAX, text.replace(/^-+/, '').length - 1) + 1
  for (const name of names) {
    const distance = editDistance(text.toLowerCase(), name.toLowerCase())
    if (distance >= least) continue
    best = name
    least = distance
  }
  if (best !== null || text.length < BEGINNING_MIN) return best
  return names.find(name => name.toLowerCase().startsWith(text.toLowerCase())) ?? null
}

/** Its words in the order of the alphabet: `max_connections` is as good as `connectionsMax`. */
function wordsOf(name: string): string {
  return name
    .split(/(?=[A-Z])|[_-]/)
    .map(word => word.toLowerCase())
    .sort()
    .join(' ')
    .trim()
}

function editDistance(a: string, b: string): number {
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (const [i, letter] of [...a].entries()) {
    const row = [i + 1]
    for (let j = 1; j <= b.length; j++) {
      const changed = (last[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1)
      row.push(Math.min(changed, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    last = row
  }
  return last[b.length] ?? 0
}
