/**
 * The page's style.
 *
 * Two colour schemes, by the reader's preference; on paper always the light one. Text has at least
 * 4.5 : 1 against what is behind it, what is drawn at least 3 : 1, in both (a test measures it).
 * One family of colours for the parts of a request, the same in bars and waterfalls; each has a
 * pattern of its own besides, since colour alone tells some readers nothing. Sizes come from one
 * scale (13, 15, 18, 22, 30 px), distances from multiples of 4 px.
 */
export const style: string = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --inset: #f1f3f6; --line: #d9dee5; --grid: #e6e9ee;
  --text: #1a2029; --soft: #525c69; --accent: #1554c0; --accent-soft: #e7effc;
  --good: #14703c; --warn: #8a5300; --bad: #b3261e; --bad-soft: #fcebea;
  --db: #2f6fdb; --poolWait: #c4362c; --connect: #c26a00; --cache: #0f8474; --http: #8447cf;
  --cpu: #7d7100; --serialise: #c03d87; --other: #77818f; --hatch: #ffffff;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --card: #171c23; --inset: #10151b; --line: #303843; --grid: #262d37;
    --text: #e7ebf0; --soft: #a3adba; --accent: #8db8ff; --accent-soft: #1c2a40;
    --good: #6fd39a; --warn: #f0b35e; --bad: #ff9a91; --bad-soft: #3a1f1f;
    --db: #6ea4ff; --poolWait: #ff8279; --connect: #f2a33c; --cache: #45c4b0; --http: #c295ff;
    --cpu: #d8c94a; --serialise: #f58bc4; --other: #8d98a7; --hatch: #171c23;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 64px; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.55 var(--sans); }
h1, h2, h3, p, ul, ol, dl, dd, pre, figure, table { margin: 0; padding: 0; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 680; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 22px; line-height: 1.3; font-weight: 660; letter-spacing: -0.01em; }
h3 { font-size: 18px; line-height: 1.35; font-weight: 620; overflow-wrap: anywhere; }
a { color: var(--accent); }
code, pre, .route { font-family: var(--mono); font-size: 13px; }
.route { overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.small { font-size: 13px; }
.bad { color: var(--bad); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.hidden-visually { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
[hidden] { display: none !important; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: 16px; top: -60px; z-index: 9; padding: 8px 16px; background: var(--card); border-radius: 0 0 8px 8px; }
.skip:focus { top: 0; }
.frame { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header .frame { padding-top: 40px; padding-bottom: 8px; }
header .eyebrow { font-size: 13px; font-weight: 600; letter-spacing: 0.04em; color: var(--soft); margin-bottom: 8px; }
header h1 { font-family: var(--mono); font-size: 22px; }
header .soft { margin-top: 8px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(164px, 1fr)); gap: 12px; margin-top: 24px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px; display: flex; flex-direction: column; }
.tile dt { font-size: 13px; color: var(--soft); }
.tile dd.figure { font-size: 22px; line-height: 1.3; font-weight: 640; font-variant-numeric: tabular-nums; margin-top: 4px; }
.tile dd.small { color: var(--soft); }
.bar-nav { position: sticky; top: 0; z-index: 5; margin-top: 24px; background: var(--page); border-bottom: 1px solid var(--line); }
.bar-nav .frame { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 16px; padding-top: 8px; padding-bottom: 8px; }
.bar-nav ul { display: flex; flex-wrap: wrap; gap: 4px; list-style: none; margin: 0 auto 0 -8px; }
.bar-nav li a { display: block; padding: 4px 8px; border-radius: 6px; color: var(--text); text-decoration: none; font-weight: 550; }
.bar-nav li a:hover { background: var(--accent-soft); }
.filter { display: flex; align-items: center; gap: 8px; }
.filter input { font: inherit; width: 224px; max-width: 60vw; padding: 4px 12px; color: var(--text); background: var(--card); border: 1px solid var(--other); border-radius: 8px; }
main section { margin-top: 40px; }
main section > h2 + p { margin-top: 4px; color: var(--soft); max-width: 76ch; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px 24px; margin-top: 16px; }
.card.alarm { border-color: var(--bad); background: var(--bad-soft); }
.card.alarm pre { white-space: pre-wrap; overflow-wrap: anywhere; margin-top: 8px; }
.finding { display: grid; grid-template-columns: 40px minmax(0, 1fr) 196px; column-gap: 12px; }
.finding .rank { font-size: 22px; line-height: 1.15; font-weight: 640; color: var(--soft); font-variant-numeric: tabular-nums; }
.finding .saving { text-align: right; font-variant-numeric: tabular-nums; }
.finding .saving strong { display: block; font-size: 22px; line-height: 1.2; font-weight: 660; }
.finding .saving svg { display: block; width: 100%; height: 8px; margin: 8px 0 4px; border-radius: 4px; }
.meter-all { fill: var(--grid); } .meter-part { fill: var(--accent); }
.badges { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 8px; list-style: none; align-items: center; }
.badge { font-size: 13px; line-height: 1.5; padding: 1px 8px; border-radius: 999px; border: 1px solid currentColor; font-weight: 560; }
.badge.kind { color: var(--accent); } .badge.proved { color: var(--good); } .badge.likely { color: var(--warn); } .badge.possible { color: var(--soft); }
.finding .routes { margin-top: 8px; color: var(--soft); }
.evidence { margin: 12px 0 0 18px; max-width: 78ch; }
.evidence li + li { margin-top: 4px; }
.remedy { margin-top: 16px; padding-top: 12px; border-top: 1px solid var(--line); }
.remedy h4 { margin: 0; font-size: 13px; font-weight: 640; color: var(--good); }
.cause { margin-top: 8px; color: var(--warn); font-weight: 560; }
.code { position: relative; margin-top: 8px; background: var(--inset); border: 1px solid var(--line); border-radius: 8px; }
.code pre { padding: 12px 120px 12px 16px; overflow-x: auto; line-height: 1.5; tab-size: 2; }
.code .language { position: absolute; right: 84px; top: 8px; font-size: 13px; color: var(--soft); pointer-events: none; }
.copy { position: absolute; top: 6px; right: 6px; }
button { font: 560 13px/1.5 var(--sans); color: var(--text); background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 2px 10px; cursor: pointer; }
button:hover { border-color: var(--accent); color: var(--accent); }
.scroll { overflow-x: auto; margin: 0 -24px; padding: 0 24px; }
table { border-collapse: collapse; width: 100%; }
th { font-size: 13px; font-weight: 600; color: var(--soft); text-align: left; padding: 4px 12px 8px 0; border-bottom: 1px solid var(--line); vertical-align: bottom; white-space: nowrap; }
th.number { text-align: right; }
td, tbody th { padding: 8px 12px 8px 0; border-bottom: 1px solid var(--grid); vertical-align: middle; }
tbody th { font-weight: 500; color: var(--text); white-space: normal; }
tr:last-child > td, tr:last-child > th[scope="row"] { border-bottom: 0; }
th button { border: 0; background: none; padding: 0; color: inherit; font: inherit; }
th[aria-sort="ascending"] button::after { content: " ↑"; } th[aria-sort="descending"] button::after { content: " ↓"; }
table.sortable { min-width: 860px; } table.sortable th.route { min-width: 176px; }
td.shares { width: 22%; min-width: 168px; padding-right: 0; }
.shares svg { display: block; width: 100%; height: 16px; border-radius: 4px; }
.key { display: flex; flex-wrap: wrap; gap: 4px 20px; list-style: none; margin-top: 12px; font-size: 13px; color: var(--soft); }
.key li { display: flex; align-items: center; gap: 8px; }
.key svg { width: 16px; height: 12px; border-radius: 3px; flex: none; }
.key.curves { gap: 4px 24px; } .key.curves svg { width: 28px; height: 12px; border-radius: 0; } .key.curves li { color: var(--text); }
.f-db { fill: url(#p-db); } .f-poolWait { fill: url(#p-poolWait); } .f-connect { fill: url(#p-connect); } .f-cache { fill: url(#p-cache); }
.f-http { fill: url(#p-http); } .f-cpu { fill: url(#p-cpu); } .f-serialise { fill: url(#p-serialise); } .f-other { fill: url(#p-other); }
.c-db { fill: var(--db); } .c-poolWait { fill: var(--poolWait); } .c-connect { fill: var(--connect); } .c-cache { fill: var(--cache); }
.c-http { fill: var(--http); } .c-cpu { fill: var(--cpu); } .c-serialise { fill: var(--serialise); } .c-other { fill: var(--other); }
.hatch { stroke: var(--hatch); stroke-width: 1.4; fill: none; } .dots { fill: var(--hatch); }
.patterns { position: absolute; width: 0; height: 0; }
.chart { margin-top: 8px; min-height: 20px; } .chart .uplot { font-family: var(--sans); }
.chart .u-legend { color: var(--soft); font-size: 13px; }
.charts { display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; }
figcaption { font-weight: 620; } figcaption .soft { font-weight: 400; display: block; }
details { margin-top: 12px; } summary { cursor: pointer; } details.fall { margin-top: 0; border-bottom: 1px solid var(--grid); padding: 10px 0; } details.fall:last-of-type { border-bottom: 0; }
details.fall > summary .soft { margin-left: 8px; }
details.fall table { margin: 12px 0 8px; table-layout: fixed; }
details.fall td, details.fall tbody th { padding: 2px 12px 2px 0; border-bottom: 0; font-size: 13px; }
details.fall .w-kind { width: 84px; } details.fall .w-name { width: 30%; } details.fall .w-ms { width: 84px; }
details.fall tbody th { font-family: var(--mono); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
details.fall td.bar { padding: 0; background: linear-gradient(to right, var(--grid) 1px, transparent 1px) 0 0 / 25% 100%; border-right: 1px solid var(--grid); }
details.fall td.bar svg { display: block; width: 100%; height: 20px; }
.k-db { color: var(--db); } .ticks { display: flex; justify-content: space-between; }
.d1 { padding-left: 12px !important; } .d2 { padding-left: 24px !important; } .d3 { padding-left: 36px !important; }
.plan pre { overflow-x: auto; padding: 12px 16px; background: var(--inset); border: 1px solid var(--line); border-radius: 8px; margin-top: 8px; }
.plan summary code { overflow-wrap: anywhere; }
.list { margin: 8px 0 0 18px; } .list li + li { margin-top: 4px; }
footer.frame { margin: 48px auto 40px; color: var(--soft); font-size: 13px; }
@media (max-width: 720px) {
  .frame { padding: 0 16px; }
  header .frame { padding-top: 24px; }
  .card { padding: 16px; }
  .scroll { margin: 0 -16px; padding: 0 16px; }
  .bar-nav { position: static; }
  .bar-nav ul { margin-right: 0; }
  .filter { width: 100%; } .filter input { flex: 1; max-width: none; min-width: 0; }
  .finding { grid-template-columns: 28px minmax(0, 1fr); }
  .finding .body { grid-column: 2; }
  .finding .saving { grid-column: 2; text-align: left; margin-top: 16px; padding-top: 12px; border-top: 1px solid var(--line); }
  .finding .saving svg { max-width: 240px; }
  details.fall .w-name { width: 40%; } details.fall .w-kind, details.fall .kind { display: none; } details.fall .w-ms { width: 68px; }
  .code pre { padding-right: 16px; padding-top: 40px; }
}
@media print {
  :root { color-scheme: light; --page: #ffffff; }
  body { font-size: 11pt; }
  .bar-nav, .copy, .skip, .filter { display: none !important; }
  .card, .tile { break-inside: avoid; border-color: #c4cad3; }
  .card.long, .card.falls { break-inside: auto; }
  tr, details.fall { break-inside: avoid; }
  .scroll { overflow: visible; } table.sortable { min-width: 0; } table.sortable th.route { min-width: 112px; } td.shares { min-width: 90px; }
  td, tbody th { padding-right: 6px; }
  table.sortable { font-size: 9pt; }
  .code pre { white-space: pre-wrap; padding-right: 16px; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
@media (forced-colors: active) { .shares svg, .bar svg, .key svg, .saving svg { forced-color-adjust: none; } }
`
