"""The style of figures: colours by role, axes, and texts. A figure is a mapping as Plotly's JSON has it
(``{"data": [..], "layout": {..}}``), made without Plotly.
"""

from __future__ import annotations

import html
import math
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Figure: TypeAlias = dict[str, Any]
Floats = NDArray[np.float64]

#: Told apart by people who see few colours, and legible on white and on black (after Okabe & Ito).
BLUE: Final = "#2f7fc8"
ORANGE: Final = "#d9731a"
GREEN: Final = "#17936f"
PURPLE: Final = "#a45fb5"
RED: Final = "#cf4436"
GREY: Final = "#8a919c"
#: Of texts, and of marks on a shade.
INK: Final = "#1d2430"
#: By the name that the report's style sheet has for them, lighter in the dark.
NAMES: Final = {
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    PURPLE: "purple",
    RED: "red",
    GREY: "grey",
    INK: "ink",
}
#: Parameters that are in no group.
NO_GROUP: Final = "no group"
GROUP_COLOURS: Final = {"model": BLUE, "optimizer": ORANGE, "data": GREEN, NO_GROUP: GREY}

#: A positive metric that is to be small gets a log axis if it spans more than this factor.
LOG_FROM: Final = 50.0
#: ... or more than a tenth of it where more than this share of the values would be drawn at the edge.
MANY_FAR: Final = 0.08
#: What is this many times farther from the median than the best one is drawn at the edge.
FAR: Final = 4.0


def text(words: str) -> str:
    """Any text as Plotly takes it: its tags are read, so none of ours may look like one."""
    return html.escape(words, quote=False).replace("\n", "<br>")


def plain(words: str) -> str:
    """The inverse of `text`."""
    return html.unescape(words.replace("<br>", "\n"))


def figure(
    title: str, caption: str, data: list[dict[str, Any]], height: int = 340, **layout: Any
) -> Figure:
    """`data` with a title, and a caption that says what is to be seen and what was left out."""
    both = {"text": text(title), "subtitle": {"text": text(caption)}}
    common = {
        "template": "plotly_white",
        "height": height,
        "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": sum(bool(trace.get("name")) for trace in data) > 1,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }
    return {"data": data, "layout": {"title": both, **common, **layout}}


class Value:
    """The axis of a metric: scale, range, and where values beyond it are drawn.

    It is made for `values`; where the worst of them, or of `others`, is too far away, the axis ends before. With
    `whole` it never does.
    """

    def __init__(
        self, values: Floats, sign: float, others: Floats | None = None, *, whole: bool = False
    ) -> None:
        known = values[np.isfinite(values)]
        self.sign = sign
        self.log, self.low, self.high = False, -math.inf, math.inf
        self.range: list[float] | None = None
        #: Where what has no value is drawn: the bad end of the axis.
        self.bad: float | None = None
        if not len(known):
            return
        every = known if others is None else np.append(known, others[np.isfinite(others)])
        low, high, middle = float(every.min()), float(every.max()), float(np.median(known))
        best, worst = (low, high) if sign > 0 else (high, low)
        self.bad = worst
        reach = FAR * abs(middle - best)
        beyond = float((sign * (every - middle) > 1.5 * reach).mean())
        most = LOG_FROM if beyond <= MANY_FAR else LOG_FROM / 10
        if sign > 0 and low > 0 and high / low > most:
            self.log = True
            return
        if not whole and abs(worst - middle) > 1.5 * reach > 0.0:
            edge = middle + sign * reach
            self.low, self.high = (-math.inf, edge) if sign > 0 else (edge, math.inf)
            pad = 0.05 * abs(edge - best)
            self.bad = edge + sign * pad
            self.range = sorted((best - sign * pad, edge + 2 * sign * pad))

    def __call__(self, values: Floats) -> list[float | None]:
        """`values` as they are drawn; None where not finite."""
        shown = np.clip(values, self.low, self.high).tolist()
        return [
            v if math.isfinite(w) else None for v, w in zip(shown, values.tolist(), strict=True)
        ]

    @property
    def clipped(self) -> bool:
        return math.isfinite(self.low) or math.isfinite(self.high)

    def axis(self, title: str) -> dict[str, Any]:
        made: dict[str, Any] = {"title": {"text": text(title)}}
        if self.log:
            made |= {"type": "log", "exponentformat": "power"}
        if self.range:
            made["range"] = self.range
        return made


def unit_of(seconds: float) -> tuple[float, str]:
    """In which unit durations up to `seconds` are shown: its length in seconds, and its name."""
    for length, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * length:
            return length, name
    return (1.0, "seconds") if seconds >= 1.0 else (1e-3, "milliseconds")
