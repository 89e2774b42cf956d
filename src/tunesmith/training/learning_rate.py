"""The learning-rate range test: which learning rates are worth searching.

A few steps of training, in which the learning rate grows from tiny to huge: where the loss begins to fall, where
it falls fastest, and where it is lowest before it blows up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.drawn import to_figure
from tunesmith.analysis.style import BLUE, GREY, ORANGE, Figure, figure
from tunesmith.core.errors import TunesmithError
from tunesmith.core.quantity import count
from tunesmith.core.space.parameter import Float, Group
from tunesmith.core.space.prior import Normal
from tunesmith.core.space.space import Space
from tunesmith.spaces.compose import overridden

Floats = NDArray[np.float64]
#: Trains one batch with a learning rate, and says the loss before the update.
TrainStep: TypeAlias = Callable[[float], float]

#: Losses are averaged over so many powers of ten of the learning rate around each.
_WIDTH: Final = 0.15
#: The search ends when the loss is this many times its range above its best.
_BLOWN_UP: Final = 3.0
#: A loss that falls by less than this many deviations of its noise has not fallen.
_CLEAR: Final = 3.0


@dataclass(frozen=True)
class Sweep:
    """One training: the loss at each learning rate, as it was and smoothed, both of shape (steps,)."""

    seed: int
    rates: Floats
    losses: Floats
    smooth: Floats

    @property
    def begins(self) -> float:
        """The learning rate from which on a tenth of the whole fall is done."""
        until = int(self.smooth.argmin()) + 1
        top, low = float(np.median(self.losses[: max(until // 5, 1)])), self.smooth.min()
        before = np.flatnonzero(self.smooth[:until] > top - 0.1 * (top - low))
        return float(self.rates[before[-1] + 1 if len(before) else 0])

    @property
    def steepest(self) -> float:
        """The learning rate at which the loss falls fastest, per factor of the learning rate; once it has begun
        to, as before that it only looks so by chance."""
        first, last = np.searchsorted(self.rates, (self.begins, self.lowest))
        slopes = np.gradient(self.smooth, np.log(self.rates))[first : last + 1]
        return float(self.rates[first + int(slopes.argmin())])

    @property
    def lowest(self) -> float:
        """The learning rate at which the loss is lowest."""
        return float(self.rates[int(self.smooth.argmin())])


@dataclass(frozen=True)
class LearningRates:
    """What a range test found."""

    sweeps: tuple[Sweep, ...]

    @property
    def suggestion(self) -> float:
        """A good constant learning rate: the steepest fall's, and no more than a third of the lowest loss's.
        The median over seeds."""
        rates = [min(sweep.steepest, sweep.lowest / 3.0) for sweep in self.sweeps]
        return float(np.exp(np.median(np.log(rates))))

    @property
    def interval(self) -> tuple[float, float]:
        """From where some seed's loss begins to fall to where some seed's is lowest."""
        low = min(sweep.begins for sweep in self.sweeps)
        high = max(sweep.lowest for sweep in self.sweeps)
        return _rounded(min(low, self.suggestion / 3.0)), _rounded(high)

    def parameter(self, group: Group = "optimizer") -> Float:
        """A parameter over the interval, with a prior around the suggestion."""
        low, high = self.interval
        centre = min(max(_rounded(self.suggestion), low), high)
        return Float(low, high, log=True, prior=Normal(centre, 3.0), group=group)

    def narrow(self, space: Space, name: str = "learning_rate") -> Space:
        """`space` with this interval for its parameter `name`. Raises SpaceError if it has none."""
        return overridden(space, {name: self.parameter()})

    def figure(self) -> Any:
        """The curves, as a Plotly figure (extra ``figures``)."""
        return to_figure(self.picture())

    def picture(self) -> Figure:
        """The curves, as Plotly's JSON has them."""
        low, high = self.interval
        data: list[dict[str, Any]] = []
        for sweep in self.sweeps:
            x = sweep.rates.tolist()
            dots = {"color": GREY, "size": 3, "opacity": 0.5}
            data += [
                {
                    "type": "scatter",
                    "x": x,
                    "y": sweep.losses.tolist(),
                    "mode": "markers",
                    "marker": dots,
                },
                {
                    "type": "scatter",
                    "x": x,
                    "y": sweep.smooth.tolist(),
                    "mode": "lines",
                    "line": {"color": BLUE},
                },
            ]
        ceiling = max(float(sweep.smooth[0]) for sweep in self.sweeps)
        floor = min(float(sweep.smooth.min()) for sweep in self.sweeps)
        room = 0.2 * (ceiling - floor)
        shapes = [
            {
                "type": "line",
                "x0": at,
                "x1": at,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": colour},
            }
            for at, colour in ((low, GREY), (self.suggestion, ORANGE), (high, GREY))
        ]
        return figure(
            "Learning-rate range test",
            f"Loss while the learning rate grows, {len(self.sweeps)} seeds. Orange: the suggestion, "
            f"{self.suggestion:.2g}; grey: the interval to search.",
            data,
            xaxis={"title": {"text": "learning rate"}, "type": "log", "exponentformat": "power"},
            yaxis={"title": {"text": "loss"}, "range": [floor - room, ceiling + 3 * room]},
            shapes=shapes,
        )

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"learning rate {self.suggestion:.2g}; search {low:g} to {high:g} "
            f"({count(len(self.sweeps), 'seed')})"
        )


def find_learning_rate(
    start: Callable[[int], TrainStep],
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 150,
    seeds: int | Sequence[int] = 3,
) -> LearningRates:
    """Sweep the learning rate from `low` to `high` within `steps` steps of training, once for each seed.

    ``start(seed)`` makes a fresh model and returns the function that trains it: ``step(learning_rate)`` does
    one update on one batch, and returns the batch's loss before it. A sweep ends when its loss blows up
    (or is not finite). Costs ``seeds * steps`` steps at most.

    The test is that of Smith 2017, "Cyclical learning rates for training neural networks", section 3.3, with
    the growth by equal factors; what is suggested (the steepest fall) is common practice. Raises
    TunesmithError if the loss never falls, or blows up at once.
    """
    if not 0.0 < low < high:
        raise TunesmithError(f"low ({low!r}) is above 0 and below high ({high!r})")
    if steps < 20:
        raise TunesmithError(f"{steps} steps are too few to see a curve; 100 to 300 are usual")
    chosen = range(seeds) if isinstance(seeds, int) else seeds
    if not chosen:
        raise TunesmithError("a range test needs at least one seed")
    rates = np.geomspace(low, high, steps)
    return LearningRates(tuple(_sweep(start(seed), seed, rates) for seed in chosen))


def _sweep(step: TrainStep, seed: int, rates: Floats) -> Sweep:
    losses: list[float] = []
    average = best = level = math.inf
    for k, rate in enumerate(rates.tolist()):
        loss = float(step(rate))
        if not math.isfinite(loss):
            break
        losses.append(loss)
        average = loss if k == 0 else average + 0.15 * (loss - average)
        best = min(best, average)
        if k < 10:
            level = float(np.median(losses))
            continue
        spread = max(level - best, _noise(np.array(losses)), 0.05 * abs(level))
        if average > level + _BLOWN_UP * spread:
            break
    if len(losses) < 10:
        raise TunesmithError(
            f"the loss was not finite after {len(losses)} steps, at a learning rate of "
            f"{rates[min(len(losses), len(rates) - 1)]:.2g} (seed {seed}); begin lower than low={rates[0]:g}, or look at the "
            "loss itself"
        )
    tried, seen = rates[: len(losses)], np.array(losses)
    smooth = _smoothed(np.log10(tried), seen)
    noise = _noise(seen)
    near = max(1, round(_WIDTH / float(np.log10(rates[1] / rates[0]))))
    if smooth[0] - smooth.min() <= _CLEAR * noise / math.sqrt(near) or smooth.argmin() == 0:
        raise TunesmithError(
            f"the loss never fell clearly between learning rates of {tried[0]:.2g} and {tried[-1]:.2g} (seed {seed}): "
            "check that a step updates the model with the learning rate that it is given; use more steps or larger "
            "batches if the loss is noisy, or lower low= and higher high="
        )
    return Sweep(seed, tried, seen, smooth)


def _noise(losses: Floats) -> float:
    """The standard deviation of losses around their trend, from neighbours' differences; large steps don't count."""
    return float(np.median(np.abs(np.diff(losses)))) / (0.6745 * math.sqrt(2.0))


def _smoothed(places: Floats, values: Floats) -> Floats:
    """A kernel average on both sides of each place, which has no lag; huge values count as the largest usual one."""
    usual = values[0] + 10.0 * abs(values[0] - values.min())
    clipped = np.minimum(values, usual)
    weights = np.exp(-0.5 * ((places[:, None] - places[None]) / _WIDTH) ** 2)
    smooth: Floats = weights @ clipped / weights.sum(axis=1)
    return smooth


def _rounded(rate: float) -> float:
    """Two digits are enough for the end of an interval."""
    return float(f"{rate:.1e}")
