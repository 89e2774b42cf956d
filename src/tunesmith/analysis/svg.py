"""An SVG renderer for the figures of `progress` and `parameters`, without Plotly and without a script.

It knows the part of Plotly's schema that our figures use: scatter and horizontal bar traces, linear and log axes with
given or own ticks, annotations and lines at data coordinates. Colours are variables of the page's style sheet, so one
drawing is right by day and by night; they stand in attributes, which a content policy without inline styles lets through.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.analysis.scale import Scale, scale_of, ticks_of
from tunesmith.analysis.style import NAMES, Figure, plain
from tunesmith.analysis.trials import brief

#: Width of a character of 12 px, for margins.
_CHAR: Final = 7.2
#: ... and of one of 11 px.
_SMALL: Final = 6.5
_RIGHT: Final = 20.0
_TOP: Final = 10.0
#: Room for slanted names below the plot, their slant in degrees, and what they may be long.
_BELOW: Final = 74.0
_SLANT: Final = 38.0
_LONG: Final = 84.0
#: The offset of a cross's first point, which is what its path begins with.
_ARM: Final = 0.5


def draw(figure: Figure, width: int, number: int = 0) -> str:
    """The figure as an ``<svg>`` of `width` pixels. Its marks refer to `tips` by their trace's place and
    `number`, the figure's."""
    layout = figure["layout"]
    shown = [_Trace.of(i, t) for i, t in enumerate(figure["data"])]
    height = float(layout.get("height", 340))
    x_axis, y_axis = layout.get("xaxis", {}), layout.get("yaxis", {})
    x_visible, y_visible = x_axis.get("visible", True), y_axis.get("visible", True)
    slanted = _slanted(x_axis, width)
    bottom = height - (_BELOW if slanted else 46.0 if x_visible else 8.0)
    top = _TOP + (18.0 if y_visible and y_axis.get("title") else 0.0)
    y = scale_of(y_axis, [v for t in shown for v in t.y_extent], bottom, top)
    y_ticks = ticks_of(y_axis, y, 40.0) if y_visible else []
    left = 10.0
    if y_ticks:
        longest = max(len(label) for _, label in y_ticks)
        left = min(max(14.0 + _CHAR * longest, 46.0), 0.42 * width)
    x = scale_of(x_axis, [v for t in shown for v in t.x_extent], left, width - _RIGHT)
    apart = 52.0 if "tickformat" in x_axis else 72.0
    x_ticks = ticks_of(x_axis, x, apart) if x_visible else []
    name = _escape(plain(layout["title"]["text"]))
    size = f'viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}"'
    parts = [f'<svg {size} role="img" aria-label="{name}" data-figure="{number}">']
    parts += _grid(x, y, x_ticks, y_ticks, y_axis.get("showgrid", True), left, top, bottom)
    parts += _x_labels(x, x_ticks, left, bottom, slanted=slanted)
    parts += [_shape(shape, x, y) for shape in layout.get("shapes", ())]
    drawn = [part for trace in shown for part in trace.draw(x, y)]
    if "range" in y_axis and x_visible:  # marks at the edge are whole
        name = f"clip-{number}-{width}"
        area = f'x="{left - 7:.1f}" y="{top - 7:.1f}" width="{width - left:.1f}" height="{bottom - top + 14:.1f}"'
        drawn = [
            f'<clipPath id="{name}"><rect {area}/></clipPath><g clip-path="url(#{name})">',
            *drawn,
            "</g>",
        ]
    parts += drawn
    parts += _notes(layout.get("annotations", ()), x, y, width)
    parts += _titles(x_axis, y_axis, x, top, height, x_visible and not slanted, y_visible)
    return "".join([*parts, "</svg>"])


def legend(figure: Figure) -> str:
    """What the colours mean, as HTML; empty if there is nothing to tell apart."""
    if not figure["layout"].get("showlegend"):
        return ""
    items = []
    for data in figure["data"]:
        if not data.get("name") or data.get("showlegend") is False:
            continue
        trace = _Trace.of(0, data)
        if not trace.data["x"]:
            continue
        items.append(f'<span class="key">{trace.swatch()}{_escape(plain(data["name"]))}</span>')
    return f'<div class="legend">{"".join(items)}</div>' if len(items) > 1 else ""


def tips(figure: Figure) -> list[list[str]]:
    """For each trace what its marks say when they are pointed at; one text for a line."""
    texts = []
    for data in figure["data"]:
        words = [plain(w) for w in data.get("text", [])]
        is_line = data["type"] == "scatter" and data["mode"] == "lines"
        texts.append(words[:1] if is_line else words)
    return texts


@dataclass(frozen=True)
class _Trace:
    """A trace and its place in the figure."""

    place: int
    data: dict[str, Any]

    @classmethod
    def of(cls, place: int, data: dict[str, Any]) -> _Trace:
        if data["type"] not in ("scatter", "bar"):
            raise ValueError(f"no such trace: {data['type']!r}")
        return cls(place, data)

    @property
    def points(self) -> list[tuple[int, float, float]]:
        pairs = zip(self.data["x"], self.data["y"], strict=True)
        return [
            (k, a, b)
            for k, (a, b) in enumerate(pairs)
            if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)
        ]

    @property
    def x_extent(self) -> list[float]:
        return [a for _, a, _ in self.points]

    @property
    def y_extent(self) -> list[float]:
        return [b for _, _, b in self.points]

    def draw(self, x: Scale, y: Scale) -> list[str]:
        if self.data["type"] == "bar":
            return self._bars(x, y)
        mode, parts = self.data["mode"], []
        if "lines" in mode:
            parts.append(self._line(x, y))
        if "markers" in mode:
            parts.append(self._markers(x, y))
        return parts

    def _line(self, x: Scale, y: Scale) -> str:
        line = self.data["line"]
        shape, filled = line.get("shape", "linear"), bool(self.data.get("fill"))
        d, before = "", -1
        for k, a, b in self.points:
            px, py = x(a), y(b)
            # only what says so has gaps: a metric that was not finite once is one curve
            if before < 0 or (k > before + 1 and self.data.get("connectgaps") is False):
                d += f"{'Z' if filled and d else ''}M{px:.1f} {py:.1f}"
            elif shape == "hv":
                d += f"H{px:.1f}V{py:.1f}"
            else:
                d += f"L{px:.1f} {py:.1f}"
            before = k
        if filled and d:
            colour = _colour(self.data["fillcolor"])
            # parts that touch leave no seam
            edge = f' stroke="{colour}" stroke-width="{line["width"]}"' if line["width"] else ""
            return f'<path d="{d}Z" fill="{colour}"{edge}{_opacity(self.data)}/>'
        tip = f' data-line="{self.place}"' if self.data.get("text") else ""
        return (
            f'<path d="{d}" fill="none" stroke-linejoin="round" stroke-linecap="round" '
            f'stroke-width="{line["width"]}" stroke="{_colour(line["color"])}"'
            f"{_opacity(self.data)}{tip}/>"
        )

    def _markers(self, x: Scale, y: Scale) -> str:
        """One path for all: its subpaths begin at the marks, in their order."""
        marker = self.data["marker"]
        size, symbol = float(marker["size"]), marker.get("symbol", "circle")
        d = "".join(_mark(symbol, x(a), y(b), size) for _, a, b in self.points)
        colour = _colour(marker["color"])
        if symbol == "circle":
            style = f'stroke-width="{size:g}" stroke-linecap="round" stroke="{colour}" fill="none"'
        elif symbol == "diamond":
            style = f'fill="{colour}" stroke="var(--paper)" stroke-width="1.5"'
        else:
            style = f'fill="none" stroke-width="1.6" stroke="{colour}"'
        offset = {"circle": 0.0, "diamond": 0.5, "x": _ARM, "circle-open": 0.5}[symbol] * size
        rows = ",".join(str(k) for k, _, _ in self.points)
        whole = rows == ",".join(map(str, range(len(self.data["x"]))))
        which = "" if whole else f' data-rows="{rows}"'
        return (
            f'<path d="{d}" {style}{_opacity(marker)} data-marks="{self.place}" '
            f'data-symbol="{symbol}" data-offset="{offset:g}"{which}/>'
        )

    def _bars(self, x: Scale, y: Scale) -> list[str]:
        data = self.data
        thick = abs(y(data["width"]) - y(0.0))
        parts = []
        words = [plain(w) for w in data["text"]]
        for k, value, place in self.points:
            px, py, zero = x(value), y(place), x(0.0)
            low = x(max(0.0, value - data["error_x"]["arrayminus"][k]))
            high = x(value + data["error_x"]["array"][k])
            parts.append(
                f'<g><title>{_escape(words[k])}</title><rect x="{zero:.1f}" y="{py - thick / 2:.1f}" '
                f'width="{max(px - zero, 0.5):.1f}" height="{thick:.1f}" rx="2" '
                f'fill="{_colour(data["marker"]["color"])}"/>'
                f'<path class="whisker" d="M{low:.1f} {py:.1f}H{high:.1f}'
                f'M{low:.1f} {py - 4:.1f}v8M{high:.1f} {py - 4:.1f}v8"/></g>'
            )
        return parts

    def swatch(self) -> str:
        """A line or a mark, as the legend has it."""
        data, inner = self.data, ""
        if data["type"] == "bar":
            colour = _colour(data["marker"]["color"])
            inner = f'<rect x="4" y="1" width="10" height="10" rx="2" fill="{colour}"/>'
        elif data.get("fill"):
            colour = _colour(data["fillcolor"])
            inner = (
                f'<rect x="3" y="1" width="12" height="10" rx="2" fill="{colour}"{_opacity(data)}/>'
            )
        else:
            ends = Scale(False, 0.0, 1.0, 2.0, 16.0), Scale(False, 0.0, 1.0, 6.0, 6.0)
            one = {"text": [], "y": [0.0, 0.0], "x": [0.0, 1.0], "opacity": 1.0}
            if "lines" in data["mode"]:
                inner += _Trace(0, data | one)._line(*ends)  # noqa: SLF001
            if "markers" in data["mode"]:
                marker = {k: v for k, v in data["marker"].items() if k != "opacity"}
                one = {"x": [0.5], "y": [0.0], "marker": marker}
                inner += re.sub(r' data-\w+="[^"]*"', "", _Trace(0, data | one)._markers(*ends))  # noqa: SLF001
        return f'<svg width="18" height="12" aria-hidden="true">{inner}</svg>'


def _mark(symbol: str, px: float, py: float, size: float) -> str:
    half = size / 2
    if symbol == "circle":
        return f"M{px:.1f} {py:.1f}h0"
    if symbol == "x":
        return f"M{px - half:.1f} {py - half:.1f}l{size:g} {size:g}m0 {-size:g}l{-size:g} {size:g}"
    if symbol == "diamond":
        return f"M{px - half:.1f} {py:.1f}l{half:g} {-half:g}l{half:g} {half:g}l{-half:g} {half:g}z"
    if symbol == "circle-open":
        arc = f"a{half:g} {half:g} 0 1 0"
        return f"M{px - half:.1f} {py:.1f}{arc} {size:g} 0{arc} {-size:g} 0"
    raise ValueError(f"no such symbol: {symbol!r}")


def _slanted(axis: dict[str, Any], width: float) -> bool:
    """Whether an axis has names that do not fit side by side."""
    names = axis.get("ticktext", ())
    longest = max((len(plain(name)) for name in names), default=0)
    return bool(names) and longest * _CHAR > (width - 80.0) / len(names)


def _grid(
    x: Scale,
    y: Scale,
    x_ticks: list[tuple[float, str]],
    y_ticks: list[tuple[float, str]],
    across: bool,
    left: float,
    top: float,
    bottom: float,
) -> list[str]:
    """Lines of the ticks, and labels of those at the left."""
    parts = []
    d = "".join(f"M{x(value):.1f} {top:.1f}V{bottom:.1f}" for value, _ in x_ticks)
    for value, label in y_ticks:
        py = y(value)
        if across:
            d += f"M{x.first:.1f} {py:.1f}H{x.last:.1f}"
        fit = _fit(label, left - 8)
        parts.append(
            f'<text x="{left - 7:.1f}" y="{py + 4:.1f}" text-anchor="end">{_escape(fit)}</text>'
        )
    return [f'<path class="grid" d="{d}"/>', *parts]


def _x_labels(
    x: Scale, ticks: list[tuple[float, str]], left: float, bottom: float, *, slanted: bool
) -> list[str]:
    """Labels below: slanted, or without those that would overlap."""
    parts, end = [], -math.inf
    for value, label in ticks:
        px, wide = x(value), len(label) * _CHAR
        if slanted:
            fit = _fit(label, min(_LONG, (px - 4.0) / math.cos(math.radians(_SLANT))))
            parts.append(
                f'<text transform="translate({px + 4:.1f} {bottom + 14:.1f}) rotate(-{_SLANT:g})" '
                f'text-anchor="end">{_escape(fit)}</text>'
            )
            continue
        near = min(max(px, left + wide / 2 - 8), x.last + _RIGHT - wide / 2)
        if near - wide / 2 > end + 4:
            parts.append(
                f'<text x="{near:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{_escape(label)}</text>'
            )
            end = near + wide / 2
    return parts


def _titles(
    x_axis: dict[str, Any],
    y_axis: dict[str, Any],
    x: Scale,
    top: float,
    height: float,
    x_visible: bool,
    y_visible: bool,
) -> list[str]:
    """The axes' titles: below, and above at the left, where it can be read without turning the head."""
    parts = []
    title = plain(x_axis.get("title", {}).get("text", ""))
    room = x.last - x.first
    if x_visible and title:
        middle = (x.first + x.last) / 2
        parts.append(
            f'<text class="title" x="{middle:.1f}" y="{height - 8:.1f}" text-anchor="middle">'
            f"{_escape(_fit(title, room))}</text>"
        )
    title = plain(y_axis.get("title", {}).get("text", ""))
    if y_visible and title:
        parts.append(
            f'<text class="title" x="2" y="{top - 12:.1f}">{_escape(_fit(title, x.last))}</text>'
        )
    return parts


def _notes(notes: Iterable[dict[str, Any]], x: Scale, y: Scale, width: float) -> list[str]:
    """Words beside rulers: names in bold, and values, of which those are left out that would overlap the one before."""
    labels: list[tuple[float, float, float, str]] = []
    for note in notes:
        words = note["text"]
        bold = words.startswith("<b>")
        words = plain(words.removeprefix("<b>").removesuffix("</b>"))
        px, py = x(note["x"]), y(note["y"]) - note.get("yshift", 0)
        py += {"top": 11.0, "bottom": -3.0}.get(note["yanchor"], 4.0)
        words = _fit(words, width - px - 12) if bold else words
        wide = len(words) * (_CHAR if bold else _SMALL)
        before = {"left": 0.0, "center": 0.5, "right": 1.0}[note["xanchor"]] * wide
        anchor = {"left": "start", "right": "end", "center": "middle"}[note["xanchor"]]
        small = " small" if note.get("font") else ""
        label = _escape(words)
        if bold:
            label = f'<tspan font-weight="600">{label}</tspan>'
        drawn = (  # on a ground of its own, behind which lines pass
            f'<rect x="{px - before - 2:.1f}" y="{py - 11:.1f}" width="{wide + 4:.1f}" height="14" '
            f'fill="var(--paper)"/><text class="halo{small}" x="{px:.1f}" y="{py:.1f}" text-anchor="{anchor}">'
            f"{label}</text>"
        )
        labels.append((py, px - before, wide, drawn))
    parts: list[str] = []
    row, end = math.nan, -math.inf
    for py, first, wide, drawn in sorted(labels):
        row, end = (py, end if py == row else -math.inf)
        if first > end + 8.0:
            parts.append(drawn)
            end = first + wide
    return parts


def _shape(shape: dict[str, Any], x: Scale, y: Scale) -> str:
    ends = x(shape["x0"]), y(shape["y0"]), x(shape["x1"]), y(shape["y1"])
    return '<path class="axis" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>'.format(*ends)


def _fit(words: str, room_px: float) -> str:
    return brief(words, max(4, int(room_px / _CHAR)))


def _colour(code: str) -> str:
    return f"var(--{NAMES[code]})"


def _opacity(of: dict[str, Any]) -> str:
    share = of.get("opacity", 1.0)
    return "" if share == 1.0 else f' opacity="{share:g}"'


def _escape(words: str) -> str:
    return html.escape(words)
