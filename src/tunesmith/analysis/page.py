"""HTML of the report: the page with its style sheet and script, and its elements (paragraphs, lists, tables, figures).

Nothing is loaded from anywhere, and the page says so to the browser.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tunesmith.analysis import svg
from tunesmith.analysis.style import Figure, plain

#: Widths in pixels at which a figure is drawn: for a screen, for a phone, and beside others.
WIDE: Final = 840
NARROW: Final = 352
SMALL: Final = 400

_STYLE: Final = """
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1d2430; --soft: #566070; --line: #e3e7ec; --tint: #f5f7f9; --accent: #1f6fb8;
  --blue: #2f7fc8; --orange: #d9731a; --green: #17936f; --purple: #a45fb5; --red: #cf4436; --grey: #8a919c; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171c; --ink: #e6e9ee; --soft: #9aa4b2; --line: #2b313a; --tint: #1b2027; --accent: #6cb2f0;
  --blue: #5aa5e6; --orange: #f0954a; --green: #3fb893; --purple: #c58ad3; --red: #ec7468; --grey: #8b94a1; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: break-word; }
main, header, footer { max-width: 880px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 40px; }
.eyebrow { margin: 0; color: var(--soft); font-size: 14px; }
h1 { font-size: 30px; line-height: 1.22; margin: 6px 0 20px; letter-spacing: -0.012em; text-wrap: balance; }
h2 { font-size: 21px; margin: 52px 0 6px; letter-spacing: -0.006em; }
h3 { font-size: 16px; margin: 26px 0 2px; }
p { margin: 8px 0; }
p.caption { color: var(--soft); font-size: 14px; margin: 2px 0 8px; max-width: 70ch; }
ul.say { margin: 8px 0; padding-left: 20px; } ul.say li { margin: 6px 0; }
a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 14px; border-top: 1px solid var(--line);
  border-bottom: 1px solid var(--line); padding: 10px 0; margin-top: 24px; }
nav a { text-decoration: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; }
.tile { background: var(--tint); border-radius: 10px; padding: 12px 14px; }
.tile b { display: block; font-size: 22px; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; display: block; }
.scroll { overflow-x: auto; margin: 10px 0; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 550; white-space: nowrap; }
td.wide { min-width: 9em; }
td.n, th.n { text-align: right; white-space: nowrap; } .tight td { white-space: nowrap; }
.tight th, .tight th.n { white-space: normal; min-width: 4em; vertical-align: bottom; }
.config td { overflow-wrap: anywhere; } .config td:nth-child(2) { min-width: 5em; }
tr.first td { font-weight: 650; }
tr.group td { padding-top: 16px; font-weight: 650; border-bottom-color: var(--grey); }
td.soft { color: var(--soft); }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 3px; margin-right: 7px; }
.dot.blue { background: var(--blue); } .dot.orange { background: var(--orange); } .dot.green { background: var(--green); }
.dot.grey { background: var(--grey); }
.copy { position: relative; margin: 12px 0; }
.copy span { color: var(--soft); font-size: 13px; }
pre { background: var(--tint); border-radius: 8px; padding: 10px 12px; margin: 6px 0; overflow-x: auto;
  font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre; }
button { position: absolute; right: 0; top: -3px; font: 12px system-ui, sans-serif; color: var(--soft);
  background: var(--paper); border: 1px solid var(--line); border-radius: 6px; padding: 4px 9px; cursor: pointer; }
details { margin: 10px 0; } summary { cursor: pointer; color: var(--accent); font-size: 14px; }
figure { margin: 18px 0 8px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 6px 26px; }
.pair figure { margin: 10px 0; min-width: 0; }
figure svg[role] { width: 100%; height: auto; display: block; touch-action: pan-y; }
figure text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--soft); }
figure text.title, figure text.halo { fill: var(--ink); }
figure text.small { font-size: 11px; fill: var(--soft); }
figure text.halo { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.grid { stroke: var(--line); stroke-width: 1; fill: none; }
.axis { stroke: var(--grey); stroke-width: 1; fill: none; }
.whisker { stroke: var(--ink); stroke-width: 1.4; fill: none; opacity: 0.75; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; color: var(--soft); margin: 6px 0 2px; }
.key { display: inline-flex; align-items: center; gap: 6px; }
.narrow { display: none; }
#tip { position: fixed; z-index: 9; pointer-events: none; background: var(--ink); color: var(--paper); font-size: 12px;
  line-height: 1.4; border-radius: 7px; padding: 7px 10px; white-space: pre-line; max-width: 280px; display: none; }
footer { color: var(--soft); font-size: 13px; padding-top: 40px; padding-bottom: 50px; }
@media (min-width: 1280px) { main, header, footer { max-width: 1080px; } }
@media (max-width: 640px) {
  header { padding-top: 24px; } main, header, footer { padding-left: 18px; padding-right: 18px; }
  h1 { font-size: 24px; } h2 { margin-top: 42px; } .tiles { grid-template-columns: 1fr 1fr; }
  .wide { display: none; } .narrow { display: block; } .pair { grid-template-columns: 1fr; }
  .tile b { font-size: 19px; }
  .config thead { display: none; } .config tr.group { display: block; }
  .config tr { display: grid; grid-template-columns: 2fr 3fr; border-bottom: 1px solid var(--line); }
  .config td { border: 0; padding-bottom: 0; } .config td:nth-child(2) { min-width: 0; }
  .config td.soft { grid-column: 1 / -1; padding: 0 0 6px; }
  .config tr.group { border-bottom-color: var(--grey); } .config tr.group td { padding-bottom: 6px; } }
@media print { nav, button { display: none; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""

#: What is nearest to the pointer is said in a box beside it. Of one figure: what its marks say is its `data-tips`.
HOVER: Final = """
const known = new WeakMap();
let box = document.getElementById("tip");
function spots(drawing) {
  if (known.has(drawing)) return known.get(drawing);
  const of = drawing.closest("[data-tips]");
  const tips = JSON.parse(of ? of.dataset.tips : document.getElementById("tips").textContent);
  const places = [], said = tips.figures[drawing.dataset.figure - (tips.first || 0)] || [];
  const words = said.map(marks => marks.map(k => tips.texts[k]));
  for (const path of drawing.querySelectorAll("[data-marks]")) {
    const texts = words[path.dataset.marks] || [], rows = path.dataset.rows ? path.dataset.rows.split(",") : null;
    const off = +path.dataset.offset, down = path.dataset.symbol === "x" ? off : 0;
    let k = 0;
    for (const [, x, y] of path.getAttribute("d").matchAll(/M(-?[\\d.]+) (-?[\\d.]+)/g)) {
      const row = rows ? +rows[k] : k;
      if (texts[row] !== undefined) places.push([+x + off, +y + down, texts[row]]);
      k += 1;
    }
  }
  for (const path of drawing.querySelectorAll("[data-line]")) {
    const text = (words[path.dataset.line] || [])[0];
    if (text === undefined) continue;
    const length = path.getTotalLength(), n = Math.min(80, Math.max(2, length / 12));
    for (let k = 0; k <= n; k++) { const p = path.getPointAtLength(length * k / n); places.push([p.x, p.y, text]); }
  }
  known.set(drawing, places);
  return places;
}
function point(event) {
  const drawing = event.target.closest ? event.target.closest("svg[data-figure]") : null;
  if (!box) { box = document.body.appendChild(document.createElement("div")); box.id = "tip"; }
  box.style.display = "none";
  if (!drawing) return;
  const frame = drawing.getBoundingClientRect(), scale = drawing.viewBox.baseVal.width / frame.width;
  const x = (event.clientX - frame.left) * scale, y = (event.clientY - frame.top) * scale;
  let near = null, least = 18 * 18;
  for (const spot of spots(drawing)) {
    const away = (spot[0] - x) ** 2 + (spot[1] - y) ** 2;
    if (away < least) { least = away; near = spot; }
  }
  if (!near) return;
  box.textContent = near[2];
  box.style.display = "block";
  const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
  const above = event.clientY - box.offsetHeight - 12;
  box.style.left = Math.max(8, left) + "px";
  box.style.top = (above > 6 ? above : event.clientY + 18) + "px";
}
addEventListener("pointermove", point);
addEventListener("pointerdown", point);
addEventListener("scroll", () => { if (box) box.style.display = "none"; }, { passive: true });
"""
#: The report's own: buttons copy what stands beside them.
_SCRIPT: Final = (
    HOVER
    + """
for (const button of document.querySelectorAll("button")) button.addEventListener("click", () => {
  const pre = button.parentElement.querySelector("pre");
  const done = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
  const range = document.createRange();
  range.selectNodeContents(pre);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  if (navigator.clipboard) navigator.clipboard.writeText(pre.textContent).then(done, () => {});
  else if (document.execCommand("copy")) done();
});
"""
)

_LONG: Final = re.compile(r"[^\s;&]{22,}")
_JOINT: Final = re.compile(r"([._/-])(?=[A-Za-z])")
#: The spaces of "5 %", "3 min" and "± 2".
_UNIT: Final = re.compile(r"(\d(?= (?:%|ms|s|min|h|d)\b)|\d(?= %)|±) ")
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def escape(words: object) -> str:
    """As HTML; a long name may be broken after its dots, slashes, dashes and underscores, a number not before its unit."""
    escaped = _UNIT.sub("\\1\N{NO-BREAK SPACE}", html.escape(str(words)))
    return _LONG.sub(lambda match: _JOINT.sub(r"\1<wbr>", match[0]), escaped)


class Drawings:
    """Figures as they are put into the page; what their marks say is kept for its end."""

    def __init__(self, first: int = 0) -> None:
        #: The number of the first figure: those of one page have to differ.
        self._first = first
        self._figures: list[list[list[int]]] = []
        #: Every text once, and its place.
        self._texts: dict[str, int] = {}

    def add(
        self, figure: Figure, *, heading: bool = True, small: bool = False, paired: bool = False
    ) -> str:
        """The figure with its title, legend and caption; `small` to stand beside others, without legend and caption, and
        `paired` with them."""
        number = self._first + len(self._figures)
        places = self._texts
        self._figures.append(
            [[places.setdefault(w, len(places)) for w in words] for words in svg.tips(figure)]
        )
        title = figure["layout"]["title"]
        parts = [f"<h3>{escape(plain(title['text']))}</h3>" if heading else ""]
        if small:
            return f"<figure>{parts[0]}{svg.draw(figure, SMALL, number)}</figure>"
        parts.append(f'<p class="caption">{escape(plain(title["subtitle"]["text"]))}</p>')
        parts.append(svg.legend(figure))
        if paired:
            return f"<figure>{''.join(parts)}{svg.draw(figure, SMALL, number)}</figure>"
        for name, width in (("wide", WIDE), ("narrow", NARROW)):
            parts.append(f'<div class="{name}">{svg.draw(figure, width, number)}</div>')
        return f"<figure>{''.join(parts)}</figure>"

    def json(self) -> str:
        """What all marks say, fit to stand inside a script element."""
        from_ = {"first": self._first} if self._first else {}
        encoded = json.dumps(
            {**from_, "figures": self._figures, "texts": list(self._texts)},
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return encoded.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def page(
    title: str, head: str, sections: Sequence[tuple[str, str, str]], foot: str, tips: str
) -> str:
    """The whole file. A section is an anchor, a heading and its contents; title, anchor and heading are plain text."""
    links = "".join(f'<a href="#{a}">{escape(h)}</a>' for a, h, _ in sections)
    nav = f'<nav aria-label="Sections">{links}</nav>' if len(sections) > 3 else ""
    body = "".join(
        f'<section id="{a}"><h2>{escape(h)}</h2>{inner}</section>' for a, h, inner in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><header>{head}{nav}</header>\n<main>{body}</main>\n<footer>{foot}</footer>"
        f'<div id="tip"></div><script type="application/json" id="tips">{tips}</script>'
        f"<script>{_SCRIPT}</script></body></html>\n"
    )


def paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{escape(words)}</p>" for words in texts)


def bullets(items: Sequence[str]) -> str:
    return f'<ul class="say">{"".join(f"<li>{escape(words)}</li>" for words in items)}</ul>'


def tiles(pairs: Iterable[tuple[str, str]]) -> str:
    """Numbers in boxes: what, and how much."""
    inner = "".join(
        f'<div class="tile"><span>{escape(what)}</span><b>{escape(value)}</b></div>'
        for what, value in pairs
    )
    return f'<div class="tiles">{inner}</div>'


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    right: Sequence[str] = (),
    *,
    tight: bool = False,
    first: bool = False,
) -> str:
    """A table that scrolls if it is too wide; `tight` ones break no lines; with `first`, the first row stands out."""
    name = ' class="tight"' if tight else ""
    kinds = [' class="n"' if name in right else "" for name in columns]
    to_html = html.escape if tight else escape
    head = ""
    if any(columns):
        heads = "".join(
            f"<th{k}>{escape(str(c))}</th>" if c else "<td></td>"
            for k, c in zip(kinds, columns, strict=True)
        )
        head = f"<thead><tr>{heads}</tr></thead>"
    body = ""
    for i, row in enumerate(rows):
        cells = "".join(f"<td{k}>{to_html(str(c))}</td>" for k, c in zip(kinds, row, strict=True))
        body += f'<tr class="first">{cells}</tr>' if first and i == 0 else f"<tr>{cells}</tr>"
    return f'<div class="scroll"><table{name}>{head}<tbody>{body}</tbody></table></div>'


def copyable(what: str, words: str) -> str:
    """A text with a button that copies it."""
    return (
        f'<div class="copy"><span>{escape(what)}</span><pre>{html.escape(words)}</pre>'
        '<button type="button">copy</button></div>'
    )


def folded(summary: str, inner: str, *, unfolded: bool = False) -> str:
    return f"<details{' open' if unfolded else ''}><summary>{escape(summary)}</summary>{inner}</details>"
