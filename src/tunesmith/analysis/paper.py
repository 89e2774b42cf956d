"""Figures for papers: the same descriptions drawn by Matplotlib, as PDF, SVG, PNG or what else it writes.

It knows the part of Plotly's schema that our figures use, as `svg` does. No title and no caption: those are the paper's. Needs the
extra `paper`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tunesmith.analysis.style import BLUE, GREY, INK, plain
from tunesmith.core.errors import TunesmithError
from tunesmith.files import drafted

#: Pixels of a screen's figure on an inch of paper.
_PIXELS: Final = 90.0
_SYMBOLS: Final = {"circle": "o", "diamond": "D", "x": "x", "cross": "P", "square": "s"}
_DASHES: Final = {"dash": "--", "dot": ":", "dashdot": "-."}
_FONT: Final = {"font.size": 8.0, "axes.linewidth": 0.6, "pdf.fonttype": 42, "svg.fonttype": "none"}


def save(figure: Mapping[str, Any], path: str | os.PathLike[str], width_in: float = 6.0) -> Path:
    """Draw `figure` (a mapping as Plotly's JSON has it) into a file, `width_in` inches wide; whole or not at all. Raises
    TunesmithError, OSError."""
    try:
        from matplotlib import rc_context
        from matplotlib.backend_bases import FigureCanvasBase
        from matplotlib.figure import Figure
    except ImportError:
        raise TunesmithError(
            "a figure for a paper needs Matplotlib; install it with: pip install 'tunesmith[paper]'"
        ) from None
    target, layout = Path(path), figure["layout"]
    known = FigureCanvasBase.get_supported_filetypes()
    suffix = target.suffix.removeprefix(".").lower()
    if suffix not in known:
        raise TunesmithError(
            f"{target.name}: a figure is saved as {', '.join(sorted(known))}, not as {suffix or 'a file without a suffix'!r}; "
            "for a page that can be zoomed use write_html"
        )
    height_in = float(layout.get("height", 340)) / _PIXELS
    with rc_context(_FONT):
        sheet = Figure(figsize=(width_in, height_in), layout="constrained")
        axes = sheet.add_subplot()
        _axis(axes.xaxis, axes.set_xscale, axes.set_xlim, layout.get("xaxis", {}))
        _axis(axes.yaxis, axes.set_yscale, axes.set_ylim, layout.get("yaxis", {}))
        for trace in figure["data"]:
            (_bars if trace["type"] == "bar" else _scatter)(axes, trace)
        _notes(axes, layout)
        shown = {"left": axes.yaxis.get_visible(), "bottom": axes.xaxis.get_visible()}
        for side, spine in axes.spines.items():
            spine.set_visible(shown.get(side, False))
        if layout.get("showlegend"):
            handles, labels = axes.get_legend_handles_labels()
            first = {label: handle for handle, label in zip(handles, labels, strict=True)}
            if len(first) > 1:
                sheet.legend(
                    first.values(), first, loc="outside upper left", ncols=4, frameon=False
                )
        with drafted(target) as draft:
            sheet.savefig(draft, format=suffix, dpi=300)
    return target


def _words(text: str) -> str:
    """A text of Plotly's for Matplotlib: no tags, and no mathematics."""
    return plain(re.sub(r"</?[bi]>", "", text)).replace("$", r"\$")


def _axis(axis: Any, scale: Any, limit: Any, described: Mapping[str, Any]) -> None:
    log = described.get("type") == "log"
    if log:
        scale("log")
    if "range" in described:
        ends = described["range"]
        limit([10.0**end for end in ends] if log else ends)
    if not described.get("visible", True):
        axis.set_visible(False)
    if described.get("showgrid", True):
        axis.grid(visible=True, color=GREY, alpha=0.25, linewidth=0.5)
    title = described.get("title", {})
    if text := title.get("text", "") if isinstance(title, Mapping) else str(title):
        axis.set_label_text(_words(text))
    if described.get("tickvals") is not None:
        labels = [_words(str(t)) for t in described.get("ticktext", described["tickvals"])]
        axis.set_ticks([*described["tickvals"]], labels)
        axis.set_ticks([], minor=True)
    elif str(described.get("tickformat", "")).endswith("%"):
        from matplotlib.ticker import PercentFormatter

        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    elif described.get("dtick") == 1:
        from matplotlib.ticker import MaxNLocator

        axis.set_major_locator(MaxNLocator(integer=True))


def _scatter(axes: Any, trace: Mapping[str, Any]) -> None:
    line, marker = trace.get("line", {}), trace.get("marker", {})
    colour = line.get("color") or marker.get("color") or BLUE
    name = _words(trace["name"]) if trace.get("name") and trace.get("showlegend", True) else None
    alpha = trace.get("opacity", 1.0)
    if trace.get("fill") == "toself":
        for k, (x, y) in enumerate(_pieces(trace["x"], trace["y"])):
            label = name if k == 0 else None
            axes.fill(
                x, y, color=trace.get("fillcolor", colour), alpha=alpha, linewidth=0, label=label
            )
        return
    x, y = [_nan(v) for v in trace["x"]], [_nan(v) for v in trace["y"]]
    mode = trace.get("mode", "lines")
    if "lines" in mode:
        stepped = line.get("shape") == "hv"
        axes.plot(
            x,
            y,
            color=colour,
            alpha=alpha,
            linewidth=0.8 * float(line.get("width", 2)),
            linestyle=_DASHES.get(line.get("dash", ""), "-"),
            drawstyle="steps-post" if stepped else "default",
            label=name,
        )
        name = None
    if "markers" in mode:
        symbol = str(marker.get("symbol", "circle"))
        hollow, shape = symbol.endswith("-open"), _SYMBOLS.get(symbol.removesuffix("-open"), "o")
        ink = marker.get("color", colour)
        style = {"facecolors": "none", "edgecolors": ink} if hollow else {"color": ink}
        axes.scatter(
            x,
            y,
            s=(0.62 * float(marker.get("size", 6))) ** 2,
            marker=shape,
            alpha=float(marker.get("opacity", 1.0)) * alpha,
            linewidths=0.8 if hollow or shape == "x" else 0,
            label=name,
            zorder=3,
            **style,
        )


def _bars(axes: Any, trace: Mapping[str, Any]) -> None:
    """Bars from the left, with how far off they may be."""
    error = trace.get("error_x", {})
    spread = None
    if error.get("array"):
        less = error.get("arrayminus", error["array"])
        spread = [[max(0.0, v) for v in less], [max(0.0, v) for v in error["array"]]]
    axes.barh(
        trace["y"],
        trace["x"],
        height=trace.get("width", 0.8),
        color=trace["marker"]["color"],
        xerr=spread,
        error_kw={"elinewidth": 0.8, "ecolor": INK, "capsize": 2},
        label=_words(trace.get("name", "")) or None,
    )


def _notes(axes: Any, layout: Mapping[str, Any]) -> None:
    def at(axis: str, value: float) -> float:
        """A place of an annotation, which on a log axis is a power of ten."""
        log = layout.get(f"{axis}axis", {}).get("type") == "log"
        return float(10.0**value) if log else value

    for shape in layout.get("shapes", ()):
        line = shape.get("line", {})
        axes.plot(
            [shape["x0"], shape["x1"]],
            [shape["y0"], shape["y1"]],
            color=line.get("color", GREY),
            linewidth=0.8 * float(line.get("width", 1)),
            linestyle=_DASHES.get(line.get("dash", ""), "-"),
            zorder=1,
        )
    for note in layout.get("annotations", ()):
        axes.annotate(
            _words(note["text"]),
            (at("x", note["x"]), at("y", note["y"])),
            xytext=(note.get("xshift", 0), note.get("yshift", 0)),
            textcoords="offset points",
            ha=note.get("xanchor", "center").replace("auto", "center"),
            va=note.get("yanchor", "center").replace("middle", "center").replace("auto", "center"),
            fontsize=7,
            fontweight="bold" if "<b>" in note["text"] else "normal",
            annotation_clip=False,
        )


def _pieces(x: Sequence[Any], y: Sequence[Any]) -> list[tuple[list[float], list[float]]]:
    """The areas of a trace, which are None apart."""
    pieces: list[tuple[list[float], list[float]]] = [([], [])]
    for a, b in zip(x, y, strict=True):
        if a is None or b is None:
            pieces.append(([], []))
        else:
            pieces[-1][0].append(a)
            pieces[-1][1].append(b)
    return [piece for piece in pieces if piece[0]]


def _nan(value: Any) -> float:
    return float("nan") if value is None else float(value)
