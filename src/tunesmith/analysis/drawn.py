"""Our figures as Plotly's, where that is installed."""

from __future__ import annotations

import textwrap
from typing import Any

from tunesmith.analysis.style import Figure
from tunesmith.core.errors import TunesmithError


def to_figure(made: Figure) -> Any:
    """A plotly.graph_objects.Figure, for notebooks and (`save`) papers; needs the extra `figures`."""
    try:
        import plotly.graph_objects  # noqa: F401 (it may be gone though the next module is there)

        from tunesmith.analysis.plotly_figure import PlotlyFigure
    except ImportError:
        raise TunesmithError(
            "figures need Plotly; install it with: pip install 'tunesmith[figures]' "
            "(tunesmith report draws the same figures without it)"
        ) from None
    layout = dict(made["layout"])
    title = dict(layout["title"])
    lines = textwrap.wrap(title["subtitle"]["text"], 110)
    title["subtitle"] = {"text": "<br>".join(lines)}
    # from above: the title, the caption's lines, the legend, the plot
    layout["title"] = title | {"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 14}}
    layout["margin"] = {"t": 46 + 17 * len(lines) + 30 * bool(layout["showlegend"])}
    layout["height"] = layout["height"] + layout["margin"]["t"]
    template = layout.pop("template")
    shown = PlotlyFigure({"data": made["data"], "layout": layout})
    shown.update_layout(template=template)
    return shown
