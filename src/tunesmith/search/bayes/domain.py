"""The domain of a search: its space as features, initial design and prior, which depend on no trial's result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.prior_study import PriorStudy
from tunesmith.core.rng import derive_seed
from tunesmith.core.space.parameter import Choice
from tunesmith.core.space.points import Points
from tunesmith.core.space.space import Space
from tunesmith.numeric import gp
from tunesmith.numeric.design import sobol, stratified
from tunesmith.numeric.features import Features
from tunesmith.search.bayes.prior import Prior
from tunesmith.search.bayes.transfer import Transfer

Floats = NDArray[np.float64]

#: Spaces of at most this many configs are searched exhaustively.
SMALL: Final = 2048
#: Candidates spread over the space.
SPREAD: Final = 256


class Domain:
    """What depends on space, seed and earlier studies alone, and the last fit of each model, which may be needed
    again. Droppable."""

    def __init__(
        self,
        space: Space,
        seed: int,
        prior_studies: Sequence[PriorStudy] = (),
        earlier_versions: Sequence[PriorStudy] = (),
        objectives: int = 1,
    ) -> None:
        self.space = space
        self.points = Points(space)
        self.d = len(space)
        self.transfer = Transfer(self.points, prior_studies, earlier_versions, objectives)
        sizes = self.points.choices
        self._features = Features([*sizes, self.transfer.studies + 1] if self.transfer else sizes)
        #: The parameter that each feature is of; after the last one comes the study.
        self.owner = self._features.owner
        self.numbers = self._features.numbers
        #: The features that are numbers, and the columns that are unordered choices.
        self.places = self._features.start[self.numbers]
        self.unordered = np.flatnonzero(np.array(sizes) > 0)
        self.prior = Prior(self.points)
        self._seed = seed
        self._fits: dict[str, tuple[tuple[NDArray[Any], ...], Floats]] = {}
        self._spread: Floats | None = None
        #: The last one asked for, and its size.
        self._design: tuple[int, Floats] | None = None
        size = self.points.size
        self.everything: Floats | None = None
        if size is not None and size <= SMALL:
            every = self.points.all()
            self.everything = every[self.points.satisfies(every)]
        columns = self.points.columns
        self.levels = [c.levels for c in columns]
        self.choices = np.array([c.choices > 0 for c in columns], dtype=np.bool_)
        #: Whether there are no numbers to be tuned.
        self.choices_alone = all(isinstance(column.parameter, Choice) for column in columns)
        #: The smallest step that changes a value, 0 for a continuum.
        self.least = np.array([0.0 if c.levels is None else 1.0 / len(c.levels) for c in columns])
        #: Columns that the climb may move: numbers with more than a few values.
        self.climbable = np.array(
            [c.choices == 0 and (c.levels is None or len(c.levels) > 4) for c in columns],
            dtype=np.bool_,
        )

    def features(self, points: Floats, study: Floats | None = None) -> Floats:
        """The features of `points`, shape (n, d), of this study or of earlier ones."""
        if self.transfer:
            which = np.zeros(len(points)) if study is None else study
            points = np.column_stack([points, (which + 0.5) / (self.transfer.studies + 1)])
        return self._features(points)

    def moving(self, starts: Floats) -> Callable[[Floats], Floats]:
        """The features of points whose choices and activity are those of `starts`, as a function of the points; each
        call gives the same array, filled anew."""
        features, inactive = self.features(starts), np.isnan(starts[:, self.numbers])

        def features_of(points: Floats) -> Floats:
            features[:, self.places] = np.where(inactive, 0.5, points[:, self.numbers])
            return features

        def all_active(points: Floats) -> Floats:
            features[:, self.places] = points[:, self.numbers]
            return features

        return features_of if inactive.any() else all_active

    @property
    def begin(self) -> Floats:
        """Where the fit of the model's hyperparameters begins."""
        return gp.start(self._features.sizes.tolist())

    @property
    def spread(self) -> Floats:
        """Points that fill the unit cube, shape (SPREAD, d)."""
        if self._spread is None:
            self._spread = sobol(SPREAD, self.d, derive_seed(self._seed, 0, "candidates"))
        return self._spread

    def design(self, size: int) -> Floats:
        """The initial design, snapped, shape (at least `size`, d)."""
        if self._design is None or self._design[0] != size:
            seed = derive_seed(self._seed, 0, "design")
            design = stratified(size - 1, self.points.choices, seed)
            bent = self.prior.bend(design) if self.prior else design
            self._design = size, self.points.snap(bent)
        return self._design[1]

    def fitted(
        self, model: str, points: Floats, targets: Floats, extra: Floats | None = None
    ) -> Floats:
        """The hyperparameters of one of the models, fitted to these data; kept until they change. `extra` are known
        variances of the targets."""
        known = np.zeros(len(targets)) if extra is None else extra

        def make() -> Floats:
            return gp.fit(self.features(points), self.owner, targets, self.begin, known)[0]

        return self.theta(model, (points, targets, known), make)

    def theta(
        self, model: str, data: tuple[NDArray[Any], ...], make: Callable[[], Floats]
    ) -> Floats:
        """`make()` for one of the models, kept until the data change."""
        last = self._fits.get(model)
        if last is None or not all(
            np.array_equal(a, b, equal_nan=True) for a, b in zip(last[0], data, strict=True)
        ):
            self._fits[model] = last = (data, make())
        return last[1]
