"""The look of the page; one palette for light and one for dark."""

from __future__ import annotations

__all__ = ["CSS"]

CSS = """
:root {
  --paper: #f7f6f3; --card: #ffffff; --ink: #1d2430; --faint: #667080; --rule: #e3e1db; --track: #ecebe6;
  --code: #2f6690; --docstring: #3f9c7a; --comment: #d9a03f; --blank: #c8cbd0; --soft: #a9c3d8;
  --edge: #c4643c;
  --q0: #e2eef6; --q1: #c3dced; --q2: #f3e2b3; --q3: #f2bd83; --q4: #e88f6e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --card: #1c2027; --ink: #e5e8ec; --faint: #98a2b0; --rule: #2d333d; --track: #2a303a;
    --code: #5fa3d3; --docstring: #55b893; --comment: #d7a54f; --blank: #4a525e; --soft: #3d5f7a;
    --edge: #e08a5f;
    --q0: #22384a; --q1: #2b5270; --q2: #66572a; --q3: #85552c; --q4: #96422f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1060px; margin: 0 auto; padding: 40px 20px 60px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 28px 0 8px; }
p { margin: 0 0 12px; max-width: 75ch; }
code { font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.lead { color: var(--faint); }
section {
  background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 24px 28px;
  margin-top: 20px;
}
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-top: 22px;
}
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 16px; }
.tile b { display: block; font-size: 25px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { display: block; }
.tile small { display: block; color: var(--faint); line-height: 1.35; margin-top: 2px; }
.wide { overflow-x: auto; }
.wide > svg { min-width: 640px; }
.wide + p:not(.legend) { margin-top: 12px; }
.legend {
  display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--faint); font-size: 13px;
  margin: 8px 0 0;
}
.legend svg { width: 12px; height: 12px; display: inline-block; margin-right: 6px; vertical-align: -1px; }
.rings { display: flex; flex-wrap: wrap; gap: 12px 36px; }
.rings figure { margin: 0; width: 132px; text-align: center; }
.rings figcaption { color: var(--faint); font-size: 13px; line-height: 1.35; margin-top: 4px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 0 28px; }
.mark {
  border: 1px solid var(--rule); border-radius: 4px; color: var(--faint); font-size: 12px;
  margin-left: 8px; padding: 0 5px; white-space: nowrap;
}
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { color: var(--faint); font-weight: 500; text-align: left; }
th, td { border-bottom: 1px solid var(--rule); padding: 6px 14px 6px 0; vertical-align: top; }
tr:last-child td { border-bottom: 0; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, "Segoe UI", Roboto, sans-serif; }
svg text.small { font-size: 11px; }
svg text.figure { font-size: 21px; font-weight: 600; }
svg text.faint { fill: var(--faint); }
svg text.cell { fill: var(--ink); }
svg text.cell.faint { fill: var(--ink); opacity: 0.65; }
svg text.end { text-anchor: end; }
svg text.middle { text-anchor: middle; }
svg .code { fill: var(--code); } svg .docstring { fill: var(--docstring); }
svg .comment { fill: var(--comment); }
svg .blank { fill: var(--blank); } svg .soft { fill: var(--soft); } svg .track { fill: var(--track); }
svg .q0 { fill: var(--q0); } svg .q1 { fill: var(--q1); } svg .q2 { fill: var(--q2); }
svg .q3 { fill: var(--q3); } svg .q4 { fill: var(--q4); }
svg .grid { stroke: var(--rule); } svg .axis { stroke: var(--faint); }
svg .ring { fill: none; stroke: var(--docstring); stroke-width: 13; }
svg .track-line { stroke: var(--track); }
svg .edge { fill: none; stroke: var(--code); stroke-opacity: 0.28; }
svg .circular { stroke: var(--edge); stroke-opacity: 0.6; }
svg .edge:hover { stroke-opacity: 1; }
svg .edge-mark { fill: var(--code); } svg .circular-mark { fill: var(--edge); }
details p { color: var(--faint); margin: 6px 0 0; }
.wide > table { min-width: 560px; }
td { overflow-wrap: anywhere; }
td:first-child { overflow-wrap: normal; }
summary { cursor: pointer; }
"""
