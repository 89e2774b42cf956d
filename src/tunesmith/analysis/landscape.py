"""What a model of the results predicts along a parameter, and over two: with how sure it is, at the best config.

The model is a Gaussian process over the completed trials (`search.bayes`), as `bayes` and `auto` search with; of a study that is
searched otherwise it is fitted all the same, and the figures say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith import search
from tunesmith.analysis.certainty import LARGE, model_there
from tunesmith.analysis.kept import Kept
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.search.bayes.landscape import Band, Results
from tunesmith.search.bayes.landscape import Landscape as Fitted
from tunesmith.search.bayes.surrogate import needed

if TYPE_CHECKING:
    from tunesmith.numeric.rough import Mixture
    from tunesmith.search.bayes.surrogate import Model

Floats = NDArray[np.float64]

#: Places along a parameter: on a line, and on each side of a contour.
ALONG: Final = 41
ACROSS: Final = 25
#: Searchers that have such a model.
MODELLED: Final = frozenset({"auto", "bayes"})


class Line(NamedTuple):
    """Places along a parameter, as its axis has them, and what is predicted there; NaN where a relation is broken."""

    x: Floats
    band: Band


class Plane(NamedTuple):
    """The same over two, of shape (len(y), len(x)): the middle, and half the width of the band."""

    x: Floats
    y: Floats
    middle: Floats
    half: Floats


@dataclass(frozen=True)
class Surroundings:
    """What a landscape is drawn from: `results` and the config in the middle, without the history that they are from."""

    results: Results
    #: The trial whose config holds for all parameters that are not shown, and its point.
    trial: int
    centre: Floats
    #: The model, where somebody has fitted it already.
    known: tuple[Model, Mixture] | None = None

    def fit(self) -> Landscape:
        if self.known is not None:
            return Landscape(self, Fitted(self.results, *self.known))
        return Landscape(self, self.results.fit())


def surroundings(trials: TrialArrays) -> Surroundings | str:
    """Those of the best trial; or why there are none, in a sentence."""
    name = (
        f"The searcher {trials.ledger.spec.searcher.name} has no model. "
        if not modelled(trials)
        else ""
    )
    if trials.size > LARGE:
        return f"{name}No model is fitted to more than {LARGE:,} trials."
    trial = centre(trials)
    results = None if trial is None else search.landscape(trials.history, trials.objective)
    if results is None or trial is None:
        least = needed(len(trials.ledger.spec.space))
        return f"{name}A model needs {least} completed trials with different results."
    point = trials.history.points[trial].copy()
    return Surroundings(results, trial, point, model_there(trials.ledger))


def modelled(trials: TrialArrays) -> bool:
    """Whether the study's own searcher has such a model."""
    return trials.ledger.spec.searcher.name in MODELLED


_known: Kept[tuple[int, dict[int, Landscape | None]]] = Kept()


def landscape(trials: TrialArrays) -> Landscape | None:
    """The landscape around the best trial, kept until the study goes on (see `Kept`); None where there is none."""
    ledger = trials.ledger
    cursor, made = _known.get(ledger) or (-1, {})
    if cursor != ledger.cursor:
        made = {}
        _known.keep(ledger, (ledger.cursor, made))
    if trials.objective not in made:
        around = surroundings(trials)
        made[trials.objective] = None if isinstance(around, str) else around.fit()
    return made[trials.objective]


def centre(trials: TrialArrays) -> int | None:
    """The best trial; of several objectives without a rule, the one that is best in this one."""
    if trials.best is not None and not trials.ledger.column("outside")[trials.best]:
        return trials.best
    inside = trials.feasible[~trials.ledger.column("outside")[trials.feasible]]
    return int(inside[np.argmin(trials.own_losses[inside])]) if len(inside) else None


@dataclass(frozen=True)
class Landscape:
    """A model that has been fitted, and the config around which it is shown."""

    around: Surroundings
    fitted: Fitted

    @property
    def trial(self) -> int:
        return self.around.trial

    def uses(self, name: str) -> bool:
        """Whether the config in the middle has a value for a parameter."""
        column = list(self.fitted.space.space.tunables).index(name)
        return not bool(np.isnan(self.around.centre[column]))

    def along(self, name: str) -> Line:
        """Over one parameter, all else as in the best config."""
        column, u, x = self._axis(name, ALONG)
        return Line(x, self._predict(self._points({column: u})))

    def over(self, a: str, b: str) -> Plane:
        """Over two parameters."""
        (column_a, u, x), (column_b, v, y) = self._axis(a, ACROSS), self._axis(b, ACROSS)
        first, second = (part.ravel() for part in np.meshgrid(u, v))
        band = self._predict(self._points({column_a: first, column_b: second}))
        shape = len(y), len(x)
        half = (band.high - band.low) / 2.0
        return Plane(x, y, band.middle.reshape(shape), half.reshape(shape))

    def _axis(self, name: str, most: int) -> tuple[int, Floats, Floats]:
        """A parameter's column, places along it in [0, 1], and the same as its axis has them."""
        tunables = self.fitted.space.space.tunables
        parameter: Float | Int | Choice = tunables[name]
        column = list(tunables).index(name)
        levels = self.fitted.space.columns[column].levels
        u = np.linspace(0.0, 1.0, most)
        if levels is not None:
            u = (
                levels
                if isinstance(parameter, Choice) or len(levels) <= most
                else levels[np.linspace(0, len(levels) - 1, most).astype(int)]
            )
        numbers = [parameter.number(parameter.decode(float(place))) for place in u]
        return column, u, np.array(numbers)

    def _points(self, moved: dict[int, Floats]) -> Floats:
        """The centre with some columns moved; what is inactive there, and active then, in the middle of its range."""
        n = len(next(iter(moved.values())))
        points = np.tile(np.where(np.isnan(self.around.centre), 0.5, self.around.centre), (n, 1))
        for column, places in moved.items():
            points[:, column] = places
        snapped = self.fitted.space.snap(points)
        for column in (
            moved
        ):  # where another parameter's value leaves it without meaning, nothing is predicted
            snapped[np.isnan(snapped[:, column])] = np.nan
        return snapped

    def _predict(self, points: Floats) -> Band:
        """NaN where a relation is broken, or a parameter that is shown is inactive."""
        there = np.asarray(~np.isnan(points).all(axis=1), dtype=np.bool_)
        there[there] = self.fitted.space.satisfies(points[there])
        predicted = self.fitted.predict(points[there])
        made: list[Any] = []
        for values in predicted:
            whole = np.full(len(points), np.nan)
            whole[there] = values
            made.append(whole)
        return type(predicted)(*made)
