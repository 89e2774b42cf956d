"""Plotly figures of a study, for notebooks. Each is described once, in `progress` and `parameters`: a function from a
study's trials to a mapping that Plotly shows (see `style`); the report draws the same ones itself (see `svg`).
"""

from __future__ import annotations

from typing import Any

from tunesmith.analysis import parameters, progress
from tunesmith.analysis.importance import importance
from tunesmith.analysis.style import to_figure
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.errors import StudyError
from tunesmith.core.ledger import Ledger


class Figures:
    """The figures of a result as Plotly's, for notebooks (extra ``figures``): ``result.figures.curves()``."""

    def __init__(self, ledger: Ledger) -> None:
        self._trials = TrialArrays(ledger)

    def best(self, over: str = "trials") -> Any:
        """The best value so far, over "trials" or over "time", and every trial."""
        return to_figure(progress.best_so_far(self._trials, over))

    def curves(self) -> Any:
        """Learning curves: what trials reported, step by step."""
        return to_figure(progress.curves(self._trials))

    def importance(self) -> Any:
        """What each parameter explains. Raises StudyError where too little is known."""
        importances = importance(self._trials.history)
        if importances is None:
            raise StudyError("importance needs some completed trials with different results")
        return to_figure(parameters.importance_bars(importances))

    def parallel(self) -> Any:
        """Parallel coordinates: one line for each trial, one axis for each parameter, the most important first."""
        importances = importance(self._trials.history)
        order = tuple(share.name for share in importances.parameters) if importances else ()
        return to_figure(parameters.parallel(self._trials, order))

    def slice(self, parameter: str) -> Any:
        """Every trial's value against one parameter."""
        return to_figure(parameters.slice_of(self._trials, parameter))

    def cost(self) -> Any:
        """Every trial's value against the time it took."""
        return to_figure(progress.cost(self._trials))

    def front(self) -> Any:
        """The first two objectives against each other, and the trials that no other beats."""
        return to_figure(progress.front(self._trials))
