"""Learning-rate schedules: ``schedule(step)`` is the factor on the base learning rate at a step.

Steps count from 0, and are whatever the optimizer counts: batches, mostly. All are values: frozen, equal if
their options are, and the same in every framework; `tunesmith.integrations` adapts them to PyTorch's and
Keras's own classes. `from_config` makes one of a config of ``ts.spaces.lr_schedule()``.

>>> cosine = Warmup(Cosine(steps=90), steps=10)
>>> [round(cosine(step), 3) for step in (0, 5, 10, 55, 100)]
[0.0, 0.5, 1.0, 0.5, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from tunesmith.core.errors import ConfigError, did_you_mean


class Schedule(Protocol):
    """A step's factor on the base learning rate."""

    def __call__(self, step: int) -> float: ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The base learning rate, always."""

    def __call__(self, step: int) -> float:
        return 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """Times `gamma` after every `every` steps."""

    every: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _above("Step", every=self.every, gamma=self.gamma)

    def __call__(self, step: int) -> float:
        return float(self.gamma ** (step // self.every))


@dataclass(frozen=True, slots=True)
class Piecewise:
    """``factors[k]`` from the k-th of `boundaries` on; one factor more than boundaries."""

    boundaries: tuple[int, ...]
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.factors) != len(self.boundaries) + 1:
            raise ConfigError(
                f"Piecewise: {len(self.boundaries)} boundaries part the steps into "
                f"{len(self.boundaries) + 1} pieces; give as many factors, not {len(self.factors)}"
            )
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise ConfigError(f"Piecewise: the boundaries {self.boundaries} do not ascend")

    def __call__(self, step: int) -> float:
        return float(self.factors[sum(step >= boundary for boundary in self.boundaries)])


@dataclass(frozen=True, slots=True)
class Exponential:
    """Times `gamma` at every step."""

    gamma: float

    def __post_init__(self) -> None:
        _above("Exponential", gamma=self.gamma)

    def __call__(self, step: int) -> float:
        return float(self.gamma**step)


@dataclass(frozen=True, slots=True)
class InverseTime:
    """``1 / (1 + rate * step)`` (Robbins & Monro 1951 ask for a decay of this order)."""

    rate: float

    def __post_init__(self) -> None:
        _above("InverseTime", rate=self.rate)

    def __call__(self, step: int) -> float:
        return 1.0 / (1.0 + self.rate * step)


@dataclass(frozen=True, slots=True)
class Polynomial:
    """From 1 to `end` within `steps`: the rest of the way to the power of `power`; 1 is a straight line."""

    steps: int
    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        _above("Polynomial", steps=self.steps, power=self.power)

    def __call__(self, step: int) -> float:
        left = 1.0 - min(step, self.steps) / self.steps
        return float((1.0 - self.end) * left**self.power + self.end)


@dataclass(frozen=True, slots=True)
class Cosine:
    """Half a cosine wave from 1 to `end` within `steps` (Loshchilov & Hutter 2017, equation 5)."""

    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        _above("Cosine", steps=self.steps)

    def __call__(self, step: int) -> float:
        return self.end + (1.0 - self.end) * _half_wave(min(step, self.steps) / self.steps)


@dataclass(frozen=True, slots=True)
class CosineRestarts:
    """Cosine waves that begin again (SGDR: Loshchilov & Hutter 2017): the first takes `first` steps, each
    other `stretch` times as many as the one before, and begins at `shrink` times its height."""

    first: int
    stretch: float = 1.0
    shrink: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        _above("CosineRestarts", first=self.first, shrink=self.shrink)
        if self.stretch < 1.0:
            raise ConfigError(f"CosineRestarts: stretch is at least 1, not {self.stretch!r}")

    def __call__(self, step: int) -> float:
        done = step / self.first  # in lengths of the first wave
        if self.stretch == 1.0:
            wave = math.floor(done)
            place = done - wave
        else:
            wave = math.floor(math.log(1.0 + done * (self.stretch - 1.0), self.stretch) + 1e-9)
            begun = (self.stretch**wave - 1.0) / (self.stretch - 1.0)
            place = (done - begun) / self.stretch**wave
        return self.end + (1.0 - self.end) * self.shrink**wave * _half_wave(place)


@dataclass(frozen=True, slots=True)
class OneCycle:
    """Up from `start` to 1 within the share `rise` of `steps`, then down to `end`, both along a cosine
    (Smith & Topin 2019). The base learning rate is the highest one."""

    steps: int
    rise: float = 0.3
    start: float = 1.0 / 25.0
    end: float = 1.0 / 25.0e4

    def __post_init__(self) -> None:
        _above("OneCycle", steps=self.steps)
        if not 0.0 <= self.rise <= 1.0:
            raise ConfigError(f"OneCycle: rise is a share of the steps, not {self.rise!r}")

    def __call__(self, step: int) -> float:
        top = self.rise * self.steps - 1.0
        last = self.steps - 1.0
        if step <= top:
            return 1.0 + (self.start - 1.0) * _half_wave(step / top if top > 0.0 else 1.0)
        return self.end + (1.0 - self.end) * _half_wave(
            min((step - top) / (last - top) if last > top else 1.0, 1.0)
        )


@dataclass(frozen=True, slots=True)
class WarmupStableDecay:
    """Up along a line for `warmup` steps, level, then down along a line to `end` in the last `decay` of
    `steps` (Hu et al. 2024, MiniCPM, section 4)."""

    steps: int
    warmup: int
    decay: int
    end: float = 0.0

    def __post_init__(self) -> None:
        _above("WarmupStableDecay", steps=self.steps)
        if self.warmup < 0 or self.decay < 0 or self.warmup + self.decay > self.steps:
            raise ConfigError(
                f"WarmupStableDecay: warmup ({self.warmup}) and decay ({self.decay}) do not fit into "
                f"{self.steps} steps"
            )

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return step / self.warmup
        left = self.steps - min(step, self.steps)
        return self.end + (1.0 - self.end) * (left / self.decay if left < self.decay else 1.0)


@dataclass(frozen=True, slots=True)
class Warmup:
    """Up along a line from `start` for `steps` steps, then `schedule` from its beginning
    (Goyal et al. 2017, section 2.2)."""

    schedule: Schedule
    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ConfigError(f"Warmup: steps is 0 or more, not {self.steps!r}")

    def __call__(self, step: int) -> float:
        if step < self.steps:
            share = self.start + (1.0 - self.start) * step / self.steps
            return share * self.schedule(0)
        return self.schedule(step - self.steps)


@dataclass(frozen=True, slots=True)
class ReduceOnPlateau:
    """Times `gamma` when a metric has not improved for more than `patience` observations.

    `observe` gives the next state, `factor` is what it has come to. An improvement is one by more
    than the share `threshold` of the best; for `cooldown` observations after a reduction none are
    counted as bad. It does not fall below `least`.
    """

    gamma: float = 0.1
    patience: int = 10
    goal: Literal["minimize", "maximize"] = "minimize"
    threshold: float = 1e-4
    cooldown: int = 0
    least: float = 0.0
    factor: float = 1.0
    best: float | None = None
    bad: int = 0
    cooling: int = 0

    def __post_init__(self) -> None:
        _above("ReduceOnPlateau", gamma=self.gamma)

    def observe(self, metric: float) -> ReduceOnPlateau:
        """The state after one more observation; NaN is no improvement."""
        improved = not math.isnan(metric) and (self.best is None or self._better(metric))
        bad = 0 if improved or self.cooling > 0 else self.bad + 1
        changed = replace(
            self,
            best=metric if improved else self.best,
            bad=bad,
            cooling=max(self.cooling - 1, 0),
        )
        if bad <= self.patience:
            return changed
        reduced = max(self.factor * self.gamma, self.least)
        return replace(changed, factor=reduced, bad=0, cooling=self.cooldown)

    def _better(self, metric: float) -> bool:
        assert self.best is not None
        margin = self.threshold * (-1.0 if self.goal == "minimize" else 1.0)
        bar = self.best * (1.0 + margin)
        return metric < bar if self.goal == "minimize" else metric > bar


def from_config(config: Mapping[str, Any], steps: int) -> Schedule | ReduceOnPlateau:
    """The schedule of a config of ``ts.spaces.lr_schedule()``, for a training of `steps` steps.

    What the config says in shares of the training becomes steps. For ``plateau``, `steps` is how
    many observations there will be. Raises ConfigError.
    """
    if steps < 1:
        raise ConfigError(f"a schedule is for 1 step or more, not {steps!r}")
    name = str(config.get("schedule"))
    if name not in _MAKERS:
        raise ConfigError(
            f"there is no learning-rate schedule {name!r}{did_you_mean(name, _MAKERS)}"
        )
    start = f"{name}."
    options = {k[len(start) :]: v for k, v in config.items() if k.startswith(start)}
    try:
        if name == "plateau":
            return _plateau(steps, **options)
        warmup = round(steps * config.get("warmup", 0.0))
        if name in ("one_cycle", "warmup_stable_decay"):  # they have a rise of their own
            made: Schedule = _MAKERS[name](steps, **options)
            return made
        made = _MAKERS[name](max(steps - warmup, 1), **options)
        return Warmup(made, warmup) if warmup else made
    except TypeError:
        raise ConfigError(
            f"the schedule {name!r} needs other options than {sorted(options)}; see "
            "ts.spaces.lr_schedule()"
        ) from None


def _constant(_: int) -> Constant:
    return Constant()


def _step(steps: int, drops: int, gamma: float) -> Step:
    return Step(max(1, math.ceil(steps / (drops + 1))), gamma)


def _piecewise(steps: int, first: float, second: float, gamma: float) -> Piecewise:
    one = max(1, round(first * steps))
    return Piecewise((one, max(one + 1, round(second * steps))), (1.0, gamma, gamma**2))


def _exponential(steps: int, end: float) -> Exponential:
    return Exponential(end ** (1.0 / steps))


def _inverse_time(steps: int, end: float) -> InverseTime:
    return InverseTime((1.0 / end - 1.0) / steps)


def _polynomial(steps: int, power: float, end: float) -> Polynomial:
    return Polynomial(steps, power, end)


def _cosine(steps: int, end: float) -> Cosine:
    return Cosine(steps, end)


def _cosine_restarts(steps: int, cycles: int, stretch: int, shrink: float) -> CosineRestarts:
    lengths = sum(stretch**k for k in range(cycles))
    return CosineRestarts(max(1, math.ceil(steps / lengths)), stretch, shrink)


def _one_cycle(steps: int, rise: float, start: float) -> OneCycle:
    return OneCycle(steps, rise, start)


def _warmup_stable_decay(steps: int, rise: float, decay: float) -> WarmupStableDecay:
    up = round(rise * steps)
    return WarmupStableDecay(steps, up, min(round(decay * steps), steps - up))


def _plateau(steps: int, gamma: float, patience: float) -> ReduceOnPlateau:
    return ReduceOnPlateau(gamma, max(1, round(patience * steps)))


_MAKERS: Mapping[str, Any] = {
    "constant": _constant,
    "step": _step,
    "piecewise": _piecewise,
    "exponential": _exponential,
    "inverse_time": _inverse_time,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "cosine_restarts": _cosine_restarts,
    "one_cycle": _one_cycle,
    "warmup_stable_decay": _warmup_stable_decay,
    "plateau": _plateau,
}


def _half_wave(place: float) -> float:
    """1 at 0, 0 at 1, along a cosine."""
    return 0.5 * (1.0 + math.cos(math.pi * place))


def _above(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not value > 0.0:
            raise ConfigError(f"{owner}: {name} is above 0, not {value!r}")
