"""Plotly figures of a study, for notebooks. Each is described once, in `progress`, `parameters`, `parallel` and `fronts`:
a function from a study's trials to a mapping that Plotly shows (see `style`); the report draws the same ones itself (see
`svg`).
"""

from __future__ import annotations

from typing import Any

from tunesmith.analysis import contours, fronts, parallel, parameters, progress
from tunesmith.analysis.drawn import to_figure
from tunesmith.analysis.importance import importance
from tunesmith.analysis.landscape import Landscape, landscape, surroundings
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.errors import StudyError
from tunesmith.core.ledger import Ledger


class Figures:
    """The figures of a result as Plotly's, for notebooks (extra ``figures``): ``result.figures.curves()``; for papers
    (extra ``paper``) ``result.figures.curves().save("curves.pdf")``."""

    def __init__(self, ledger: Ledger) -> None:
        self._trials = TrialArrays(ledger)

    def _by(self, objective: int | str) -> TrialArrays:
        """The trials by one of several objectives, by its metric or its place. Raises StudyError."""
        return self._trials.by(self._trials.ledger.spec.place_of(objective))

    def best(self, over: str = "trials", objective: int | str = 0) -> Any:
        """The best value so far, over "trials" or over "time", and every trial."""
        return to_figure(progress.best_so_far(self._by(objective), over))

    def curves(self) -> Any:
        """Learning curves: what trials reported, step by step."""
        return to_figure(progress.curves(self._trials))

    def importance(self, objective: int | str = 0) -> Any:
        """What each parameter explains. Raises StudyError where too little is known."""
        trials = self._by(objective)
        importances = importance(trials.history, trials.objective)
        if importances is None:
            raise StudyError("importance needs some completed trials with different results")
        return to_figure(parameters.importance_bars(importances))

    def parallel(self) -> Any:
        """Parallel coordinates: one line for each trial, one axis for each parameter, the most important first."""
        importances = importance(self._trials.history)
        order = tuple(share.name for share in importances.parameters) if importances else ()
        return to_figure(parallel.parallel(self._trials, order))

    def slice(self, parameter: str, objective: int | str = 0) -> Any:
        """Every trial's value against one parameter, and what a model expects along it, with a band of 90 %, where there are
        results enough."""
        trials = self._by(objective)
        return to_figure(parameters.slice_of(trials, parameter, landscape(trials)))

    def contour(self, x: str, y: str, objective: int | str = 0) -> Any:
        """What a model expects over two parameters, all else as in the best config. Raises StudyError where there are too few
        results."""
        return to_figure(contours.contour(*self._over(x, y, objective)))

    def doubt(self, x: str, y: str, objective: int | str = 0) -> Any:
        """How far off `contour` may be. Raises StudyError."""
        return to_figure(contours.doubt(*self._over(x, y, objective)))

    def _over(
        self, x: str, y: str, objective: int | str
    ) -> tuple[TrialArrays, str, str, Landscape]:
        trials = self._by(objective)
        model = landscape(trials)
        if model is None:
            raise StudyError(str(surroundings(trials)))
        return trials, x, y, model

    def cost(self, objective: int | str = 0) -> Any:
        """Every trial's value against what it took: by `cost_metric`, or in time."""
        return to_figure(progress.cost(self._by(objective)))

    def front(self, x: int | str = 0, y: int | str = 1) -> Any:
        """Two objectives against each other, the trials that no other beats, and what these beat. Raises StudyError."""
        if self._trials.single:
            return to_figure(fronts.front(self._trials))  # which says why there is none
        places = self._by(x).objective, self._by(y).objective
        return to_figure(fronts.front(self._trials, places))

    def objectives(self) -> Any:
        """Parallel coordinates over several objectives: one line for each trial. Raises StudyError."""
        return to_figure(parallel.objectives(self._trials))

    def attainment(self) -> Any:
        """Of two objectives, how the front moved as trials were added. Raises StudyError."""
        return to_figure(fronts.attainment(self._trials))

    def hypervolume(self) -> Any:
        """How much was beaten after so many trials, of several objectives. Raises StudyError."""
        return to_figure(fronts.hypervolume(self._trials))
