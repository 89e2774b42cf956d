"""Our figures as Plotly's own objects, which can also be saved for a paper. Needs the extra `figures`."""

from __future__ import annotations

import os
from pathlib import Path

import plotly.graph_objects as go

from tunesmith.analysis import paper


class PlotlyFigure(go.Figure):  # type: ignore[misc]
    """A `plotly.graph_objects.Figure`."""

    def save(self, path: str | os.PathLike[str], width_in: float = 6.0) -> Path:
        """Write it as PDF, SVG or PNG, drawn by Matplotlib in the same style, `width_in` inches wide, without title and
        caption: ``result.figures.curves().save("curves.pdf")``. Raises TunesmithError, OSError."""
        return paper.save(self.to_dict(), path, width_in)
