// The style and the script of the pages: plain CSS, and a script that hands the data to uPlot. In
// the browser, not in Node.

export const PAGE_STYLE = `
:root{--bg:#f7f8fa;--card:#fff;--text:#1b2430;--dim:#667385;--line:#e1e6ec;--good:#0b7a4b;
--bad:#b3261e;--accent:#2962c4;--warn:#c8641b}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--text:#e4e9f0;--dim:#93a1b3;
--line:#2b3440;--good:#4cc38a;--bad:#ff8a80;--accent:#7fa8f5;--warn:#f2a65a}}
*{box-sizing:border-box}
body{margin:0 auto;padding:24px;max-width:1180px;background:var(--bg);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header{border-bottom:1px solid var(--line);margin-bottom:20px}
h1{font-size:19px;line-height:1.4;margin:0 0 4px;font-weight:650}
h2{font-size:16px;margin:28px 0 12px}
header p{margin:0 0 14px}header p.how{color:var(--dim)}
.how span{white-space:nowrap}
.notes{margin:14px 0;padding:10px 14px 10px 32px;border:1px solid var(--line);border-left:4px solid
var(--warn);border-radius:8px;background:var(--card)}
.good b,p.good{color:var(--good);font-weight:600}.bad b,p.bad{color:var(--bad);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:12px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;
display:flex;flex-direction:column}
.card span,.card small{color:var(--dim);font-size:12.5px}
.card b{font-size:21px;font-weight:650;font-variant-numeric:tabular-nums;line-height:1.35}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(460px,1fr));gap:14px;
margin:16px 0}
.chart{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:12px 12px 8px;min-width:0;overflow:hidden}
.chart h3{font-size:14px;margin:0 0 6px 4px;font-weight:600}
.uplot,.u-legend{font-family:inherit;color:var(--text)}
.u-legend{font-size:12.5px;color:var(--dim)}
.u-inline.u-live .u-series:has(.u-value:empty) th::after{content:""}
.u-inline .u-series:first-child:has(.u-value:empty){display:none}
th small{display:block;color:var(--dim);font-weight:400;white-space:normal;min-width:150px}
td.text{text-align:left;white-space:normal;min-width:260px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);
border-radius:10px;font-variant-numeric:tabular-nums;font-size:13.5px}
th,td{padding:7px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
.u-legend th,.u-legend td{border:0;padding:2px 6px}.u-legend{border:0;background:none}
thead th{color:var(--dim);font-weight:500}tbody tr:last-child>*{border-bottom:0}
td.best{color:var(--good);font-weight:650}td.bad{color:var(--bad);font-weight:650}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:0}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
details{margin-top:12px}summary{cursor:pointer;color:var(--accent)}
pre{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px;
overflow-x:auto;font-size:12.5px;line-height:1.45}
footer{color:var(--dim);font-size:12.5px;margin-top:28px;border-top:1px solid var(--line);
padding-top:12px}
@media(max-width:560px){.charts{grid-template-columns:1fr}body{padding:14px}}
`

export const PAGE_SCRIPT = `
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const dark = matchMedia('(prefers-color-scheme: dark)').matches
const colours = dark
  ? ['#7fa8f5', '#f2a65a', '#5fd0a5', '#e08bd8', '#d7d26b']
  : ['#2962c4', '#c8641b', '#13845a', '#9b3fa8', '#847a10']
const short = (n, digits) => String(Number(n.toPrecision(digits)))
const formats = {
  rate: n => n >= 1e6 ? short(n / 1e6, 3) + 'M' : n >= 1e3 ? short(n / 1e3, 3) + 'k' : short(n, 3),
  count: n => short(n, 4),
  us: n => n >= 1e6 ? short(n / 1e6, 3) + ' s' : n >= 1e3 ? short(n / 1e3, 3) + ' ms'
    : short(n, 3) + ' us',
  ms: n => short(n, 3) + ' ms',
}
const nines = n => {
  const percent = 100 * (1 - 10 ** -n)
  return n <= 2 ? short(percent, 3) + ' %' : percent.toFixed(Math.min(6, Math.ceil(n) - 2)) + ' %'
}
function draw(chart) {
  const box = document.getElementById(chart.id)
  if (!box) return
  const title = document.createElement('h3')
  title.textContent = chart.title
  box.append(title)
  const format = formats[chart.unit]
  const isPercentile = chart.kind === 'percentile'
  const isBars = chart.kind === 'bars'
  const isTrials = chart.kind === 'trials'
  const x = isBars ? chart.x.map((_, i) => i) : chart.x
  const xText = isBars ? i => chart.x[i] ?? '' : isPercentile ? nines
    : isTrials ? n => n % 1 ? '' : 'trial ' + n : n => short(n, 4) + ' s'
  const values = chart.series.flatMap(series => series.y).filter(n => n > 0)
  const wide = values.length > 0 && Math.max(...values) / Math.min(...values) > 200
  const isLog = chart.unit === 'us' && wide && !isBars
  const axis = { stroke: css('--dim'), grid: { stroke: css('--line'), width: 1 },
    ticks: { stroke: css('--line'), width: 1 }, font: '12px system-ui, sans-serif' }
  const bars = isBars ? uPlot.paths.bars({ size: [0.62, 70] }) : undefined
  const mark = plot => {
    if (chart.measuredFrom === undefined) return
    const left = plot.valToPos(chart.measuredFrom, 'x', true)
    plot.ctx.fillStyle = dark ? 'rgba(255,255,255,.10)' : 'rgba(20,40,80,.10)'
    plot.ctx.fillRect(plot.bbox.left, plot.bbox.top, left - plot.bbox.left, plot.bbox.height)
  }
  const name = plot => {
    if (chart.measuredFrom === undefined) return
    plot.ctx.fillStyle = css('--dim')
    plot.ctx.font = 11 * devicePixelRatio + 'px system-ui, sans-serif'
    plot.ctx.textAlign = 'left'
    plot.ctx.textBaseline = 'bottom'
    const inset = 4 * devicePixelRatio
    plot.ctx.fillText('warm-up', plot.bbox.left + inset, plot.bbox.top + plot.bbox.height - inset)
  }
  const options = {
    width: box.clientWidth - 24,
    height: 250,
    scales: {
      x: { time: false, range: isBars ? [-0.6, x.length - 0.4] : isTrials ? [0.5, x.length + 0.5]
        : chart.kind === 'time' ? [0, x[x.length - 1]] : undefined },
      y: isLog ? { distr: 3 } : { range: (_, low, high) => [0, Math.max(high, 1e-9) * 1.08] },
    },
    hooks: { drawClear: [mark], draw: [name] },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map(n => isBars && n % 1 ? '' : xText(n)),
        ...(isBars || isTrials ? { splits: () => x, grid: { show: false } } : {}),
        ...(isPercentile ? { splits: (_, i, low, high) => {
          const all = []
          for (let n = Math.ceil(low); n <= high; n++) all.push(n)
          return all
        } } : {}) },
      { ...axis, size: 66, values: (_, ticks) => ticks.map(n => n === null ? '' : format(n)) },
    ],
    series: [
      { label: isBars ? 'which' : isPercentile ? 'percentile' : isTrials ? '' : 'time',
        value: (_, n) => n === null ? '' : xText(n) },
      ...chart.series.map((series, i) => ({
        label: series.label,
        stroke: colours[i % colours.length],
        width: isTrials ? 0 : 2,
        // One that lies on another lets it be seen.
        ...(!isBars && i > 0 ? { dash: i === 1 ? [8, 4] : [2, 4] } : {}),
        ...(isBars ? { paths: bars, fill: colours[i % colours.length] + '66' } : {}),
        points: isTrials ? { show: true, size: 10, fill: colours[i % colours.length] }
          : { show: !isPercentile && !isBars && x.length < 40, size: 5 },
        spanGaps: true,
        value: (_, n) => n === null || n === undefined ? '' : format(n),
      })),
    ],
  }
  const y = chart.series.map(series => isLog ? series.y.map(n => n > 0 ? n : null) : series.y)
  const plot = new uPlot(options, [x, ...y], box)
  addEventListener('resize', () => plot.setSize({ width: box.clientWidth - 24, height: 250 }))
}
charts.forEach(draw)
document.documentElement.dataset.charts = String(charts.length)
`
