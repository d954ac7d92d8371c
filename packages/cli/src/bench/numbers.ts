// Numbers as people read them.

const THIN = ' '

/** `940 us`, `1.60 ms`, `14.1 ms`, `2.03 s`; `-` for what was not measured. */
export function formatUs(us: number | null | undefined): string {
  if (us === null || us === undefined || Number.isNaN(us)) return '-'
  if (us < 1000) return `${us.toFixed(0)} us`
  if (us < 1e6) return `${digits3(us / 1e3)} ms`
  return `${digits3(us / 1e6)} s`
}

/** `1 234 567`. */
export function formatCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, THIN)
}

/** A rate in full: `1 234 567`, and what a slow run has: `12.3`, `0.67`. */
export function formatPerSecond(perSecond: number): string {
  const isSmall = perSecond > 0 && perSecond < 100 && !Number.isInteger(perSecond)
  return isSmall ? digits3(perSecond) : formatCount(perSecond)
}

/** `950`, `12.3k`, `1.25M`. */
export function formatRate(perSecond: number): string {
  if (perSecond < 1e3) return perSecond.toFixed(perSecond < 10 ? 1 : 0)
  return perSecond < 1e6 ? `${digits3(perSecond / 1e3)}k` : `${digits3(perSecond / 1e6)}M`
}

export function formatSeconds(seconds: number): string {
  return `${digits3(seconds)} s`
}

export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

/** `+12.3 %`, `-4.0 %`. */
export function formatChange(share: number): string {
  if (!Number.isFinite(share)) return share > 0 ? 'from 0' : 'new'
  return `${share < 0 ? '' : '+'}${formatPercent(share)}`
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes.toFixed(0)} B`
  if (bytes < 1024 ** 2) return `${digits3(bytes / 1024)} KiB`
  if (bytes < 1024 ** 3) return `${digits3(bytes / 1024 ** 2)} MiB`
  return `${digits3(bytes / 1024 ** 3)} GiB`
}

function digits3(number: number): string {
  return number.toFixed(number < 10 ? 2 : number < 100 ? 1 : 0)
}

/** Rows with their columns in line; the first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    })
  }
  return rows.map(row =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}
