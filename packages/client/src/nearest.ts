// Which of several names somebody meant who wrote another.

/** Of how many letters of a name one may be wrong. */
const LETTERS_PER_CHANGE = 3

/** @returns null when none is near */
export function nearestName(name: string, names: readonly string[]): string | null {
  let nearest: string | null = null
  let least = name.length / LETTERS_PER_CHANGE + 1
  for (const known of names) {
    const changes = changesBetween(name.toLowerCase(), known.toLowerCase())
    if (changes >= least) continue
    least = changes
    nearest = known
  }
  return nearest
}

/** Letters to insert, delete or replace; none when one name begins with the other. */
function changesBetween(a: string, b: string): number {
  if (b.startsWith(a) || a.startsWith(b)) return 0
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const letter of a) {
    const next = [(row[0] ?? 0) + 1]
    for (let i = 0; i < b.length; i++) {
      const replaced = (row[i] ?? 0) + (letter === b[i] ? 0 : 1)
      next.push(Math.min(replaced, (row[i + 1] ?? 0) + 1, (next[i] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
