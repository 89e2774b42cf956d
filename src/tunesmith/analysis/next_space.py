"""A space for the next study, from what the trials of this one say: narrower, wider, or with less in it, and why.

Ranges go on beyond an end at which the good trials lie, and narrow to where those lie and where the model's optimum is
likely to be: the posterior of the optimum, as the places where functions drawn from the Gaussian process are best (Hernández-Lobato,
Hoffman & Ghahramani, "Predictive entropy search", 2014, section 2.1, by draws at many points in place of theirs by features).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis import advice
from tunesmith.analysis.certainty import certainty, recommended
from tunesmith.analysis.findings import LITTLE, listed
from tunesmith.analysis.importance import importance
from tunesmith.analysis.trials import TrialArrays, show
from tunesmith.core.errors import SpaceError, StudyError
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import count
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Choice, Float, Int, Tunable
from tunesmith.core.space.space import Space
from tunesmith.core.trial import State
from tunesmith.numeric.threads import one_thread
from tunesmith.search.bayes import model_of
from tunesmith.spaces.compose import overridden
from tunesmith.strategy.evidence import Evidence

Floats = NDArray[np.float64]

#: Results needed to say anything.
LEAST: Final = 10
#: Functions drawn from the posterior, and the random configs at which they are compared, beside those of the trials.
DRAWS: Final = 400
POINTS: Final = 400
#: An optimum lies within the range to propose with this probability, by each end.
OUTSIDE: Final = 0.025
#: A range is narrowed to what is likely, and this share of the old range at each end, if that leaves at most `NARROWED` of it.
MARGIN: Final = 0.05
NARROWED: Final = 0.7
#: A value of a choice that was tried so often, is none of the good ones', and is the optimum's with less than this
#: probability is dropped.
TRIED: Final = 4
UNLIKELY: Final = 0.03
#: Names of shares that stay below 1, whatever lies beyond: they are widened halfway to it.
BELOW_ONE: Final = ("momentum", "dropout", "beta", "decay", "gamma", "rho", "quantile")


@dataclass(frozen=True)
class NextSpace:
    """A space for the next study, and for each of its parameters why it is as it is. As text, YAML for a job file."""

    space: Space
    reasons: Mapping[str, str]

    def __str__(self) -> str:
        lines: list[str] = []
        for line in self.space.to_yaml().rstrip("\n").split("\n"):
            name = line.partition(":")[0].strip("'\"")
            if line[:1] not in (" ", "-", "") and name in self.reasons:
                lines.append(f"# {name}: {self.reasons[name]}")
            lines.append(line)
        gone = [f"# {n}: {why}" for n, why in self.reasons.items() if n not in self.space]
        return "\n".join([*gone, *lines]) + "\n"


def next_space(ledger: Ledger) -> NextSpace:
    """See `tunesmith.spaces.suggest`."""
    trials = TrialArrays(ledger)
    done = len(trials.done)
    if done < LEAST:
        raise StudyError(
            f"study {ledger.spec.name!r} has {count(done, 'result')}, too few to suggest another space; {LEAST} are needed"
        )
    if not len(trials.feasible):
        raise StudyError(
            f"no trial of study {ledger.spec.name!r} keeps its constraints, so that none says what is good; loosen them "
            "(tunesmith edit judges all trials again)"
        )
    return _Suggestion(trials).made()


class _Suggestion:
    """What the trials say, parameter by parameter."""

    def __init__(self, trials: TrialArrays) -> None:
        self._trials = trials
        self._space = trials.ledger.spec.space
        single = trials.single
        self._sure = certainty(trials) if single else None
        importances = importance(trials.history) if single else None
        self._idle = advice.needless(trials, importances, self._sure) if single else {}
        self._shares = advice.shares(importances)
        self._good = advice.good(trials, self._sure) if single else trials.front
        if len(self._good) < advice.FEW:
            self._good = trials.ranked[: advice.FEW]
        best = recommended(trials, self._sure) if single else None
        self._best = trials.ledger.config(int(self._good[0]) if best is None else best)
        self._edges = (
            advice.where_at_edge(trials, importances, self._sure, set(self._idle)) if single else {}
        )
        self._optima = _optima(trials) if single else None

    def made(self) -> NextSpace:
        changes: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        for column, (name, parameter) in enumerate(self._space.tunables.items()):
            spec, reasons[name] = self._changed(column, name, parameter)
            changes[name] = self._with_default(name, parameter, spec)
        space = overridden(self._space, changes)
        for name in self._space.tunables:
            if name not in space:
                reasons[name] = "gone, as the value it belonged to was never good"
        return NextSpace(space, reasons)

    def _changed(self, column: int, name: str, p: Tunable) -> tuple[Any, str]:
        """What becomes of a parameter, as `parameter_from_dict` reads it, and why."""
        if name in self._idle:
            value = self._idle[name]
            return {"value": value}, f"fixed at {show(value)}: it made hardly any difference"
        if isinstance(p, Choice):
            return self._choice(column, name, p)
        low, high, why = self._range(column, name, p)
        if (low, high) == (p.low, p.high):
            return p.to_dict(), why
        kind = "int" if isinstance(p, Int) else "float"
        return p.to_dict() | {kind: [low, high]}, why

    # -- numbers ------------------------------------------------------------------------------

    def _range(self, column: int, name: str, p: Float | Int) -> tuple[Any, Any, str]:
        """The ends of a number's range, and why."""
        edge = self._edges.get(name)
        low, high = p.low, p.high
        if edge is not None:
            end = high if edge.at_high else low
            out = _within_reason(name, p, edge.at_high)
            near = f"{edge.near} of the best {edge.of} are near {show(end)}"
            if out is None:
                return low, high, f"as it was: {near}, which looks like a natural bound"
            side = "upper" if edge.at_high else "lower"
            why = f"wider at its {side} end, {show(end)} before: {near}"
            return (low, out, why) if edge.at_high else (out, high, why)
        share = self._shares.get(name)
        if share is None or share.value < advice.SOME:
            return low, high, "as it was: too little is known of it to narrow it"
        at = self._trials.ledger.column("points")[self._good, column]
        at = at[np.isfinite(at)]
        if not len(at):
            return low, high, "as it was: no good trial uses it"
        likely, where = [at.min(), at.max()], f"the best {len(at)} trials"
        if self._optima is not None:
            optima = self._optima[:, column]
            optima = optima[np.isfinite(optima)]
            if len(optima):
                likely += np.quantile(optima, [OUTSIDE, 1 - OUTSIDE]).tolist()
                where += " and the model's optimum (95 %)"
        begin, end = max(0.0, min(likely) - MARGIN), min(1.0, max(likely) + MARGIN)
        if end - begin > NARROWED:
            return low, high, f"as it was: {where} spread over {end - begin:.0%} of its range"
        new_low, new_high = _rounded(p, begin, end)
        if not new_low < new_high or (new_low, new_high) == (low, high):
            return low, high, f"as it was: {where} are all over it"
        inside = f"from {show(p.decode(min(likely)), 3)} to {show(p.decode(max(likely)), 3)}"
        why = f"narrower, {show(low)} to {show(high)} before: {where} are {inside}"
        return new_low, new_high, why

    # -- choices ------------------------------------------------------------------------------

    def _choice(self, column: int, name: str, p: Choice) -> tuple[Any, str]:
        """The values of a choice, and why."""
        spec = p.to_dict()
        k = p.size
        numbers = self._trials.ledger.column("numbers")[:, column]
        ended = np.concatenate([self._trials.done, self._trials.of(State.FAILED)])
        tried = np.array([(numbers[ended] == i).sum() for i in range(k)])
        ever_good = np.array([(numbers[self._good] == i).any() for i in range(k)])
        likely = np.zeros(k)
        if self._optima is not None:
            optima = self._optima[:, column]
            index = np.minimum((optima[np.isfinite(optima)] * k).astype(int), k - 1)
            likely = np.bincount(index, minlength=k) / max(1, len(index))
        bad = (tried >= TRIED) & ~ever_good & (likely < UNLIKELY)
        edge = self._edges.get(name)
        if p.ordered:  # a hole in an order is none
            staying = np.flatnonzero(~bad)
            bad[:] = True
            bad[staying.min() : staying.max() + 1] = False
        elif name in self._shares and self._shares[name].high < LITTLE:
            bad[:] = False
        values = [v for v, gone in zip(p.values, bad.tolist(), strict=True) if not gone]
        dropped = [show(v) for v, gone in zip(p.values, bad.tolist(), strict=True) if gone]
        words = []
        if dropped:
            words.append(f"without {listed(dropped)}: never among the good ones")
            if p.prior is not None:
                spec["prior"] = [
                    w for w, gone in zip(p.prior, bad.tolist(), strict=True) if not gone
                ]
        if edge is not None and (beyond := _beyond(p, edge.at_high)) is not None:
            values = [*values, beyond] if edge.at_high else [beyond, *values]
            spec.pop("prior", None)
            words.append(
                f"with {show(beyond)}: {edge.near} of the best {edge.of} have the value beside it"
            )
        if len(values) == 1:
            return {
                "value": values[0]
            }, f"fixed at {show(values[0])}: the others were never among the good ones"
        if not words:
            return spec, "as it was: no value of it is known to be bad"
        return spec | {"choice": values}, "; ".join(words)

    def _with_default(self, name: str, p: Tunable, spec: Any) -> Any:
        """The parameter with the recommended trial's value for its default, so that the next study begins there."""
        if "value" in spec:
            return _common(p) | spec
        if name in self._best:
            spec = spec | {"default": self._best[name]}
        else:
            spec = {key: value for key, value in spec.items() if key != "default"}
        try:
            Space({name: {key: v for key, v in spec.items() if key != "when"}})
        except SpaceError:  # a prior whose centre is no longer in the range
            spec = {key: value for key, value in spec.items() if key != "prior"}
        return spec


def _common(p: Tunable) -> dict[str, Any]:
    """What a fixed value of the same parameter has as well."""
    return {key: value for key, value in p.to_dict().items() if key in ("group", "when")}


def _optima(trials: TrialArrays) -> Floats | None:
    """Where functions drawn from the model are best, shape (DRAWS, d) in the unit cube; None without a model."""
    history, space = trials.history, trials.ledger.spec.space
    model = model_of(history, Evidence.completed(history))
    if model is None:
        return None
    rng = stream(history.seed, trials.size, "next space")
    near = history.points[trials.ranked[:50]]
    try:
        spread = np.array([space.encode(c) for c in space.samples(POINTS, rng)])
    except SpaceError:
        spread = near
    points = np.vstack([near, spread])
    with one_thread(), np.errstate(all="ignore"):
        drawn = model.sample(points, DRAWS, rng)
    best: Floats = points[drawn.argmin(axis=1)]
    return best


def _within_reason(name: str, p: Float | Int, at_high: bool) -> Any:
    """`advice.wider`, but no share beyond what it can be, and nothing positive down to 0."""
    out = advice.wider(p, at_high)
    if out is None:
        return None
    if isinstance(p, Float):
        share = p.low >= 0 and p.high <= 1
        if at_high and share and out >= 1:
            if p.log is True and p.high >= 0.1:
                return None if p.high == 1 else 1.0
            if any(word in name.lower() for word in BELOW_ONE):
                out = (1 + p.high) / 2
            out = min(out, 1.0)
        if not at_high and p.low > 0 >= out:
            out = p.low / 2
        return _on_step(p, out)
    return int(_on_step(p, out))


def _on_step(p: Float | Int, end: float) -> float:
    """The end on the grid of the range's step, seen from its lower end."""
    if not p.step or p.log:
        return float(f"{end:.6g}")
    return float(f"{p.low + round((end - p.low) / p.step) * p.step:.6g}")


def _rounded(p: Float | Int, begin: float, end: float) -> tuple[Any, Any]:
    """The ends of the part of a range between two coordinates, rounded outwards to two digits, and no further than it was."""
    low, high = float(p.decode(begin)), float(p.decode(end))
    if isinstance(p, Int) or p.step:
        step = p.step or 1
        ends = (
            p.low + math.floor((low - p.low) / step + 1e-9) * step,
            p.low + math.ceil((high - p.low) / step - 1e-9) * step,
        )
        if isinstance(p, Int):
            return max(p.low, int(ends[0])), min(p.high, int(ends[1]))
        return max(p.low, float(f"{ends[0]:.9g}")), min(p.high, float(f"{ends[1]:.9g}"))
    if p.log == "reverse":
        return max(p.low, 1 - _digits(1 - low, 0, up=True)), min(
            p.high, 1 - _digits(1 - high, 0, up=False)
        )
    span = 0.0 if p.log else high - low
    return max(p.low, _digits(low, span, up=False)), min(p.high, _digits(high, span, up=True))


def _digits(value: float, span: float, *, up: bool) -> float:
    """A number rounded to two digits, of itself or of `span`."""
    size = span or abs(value)
    if size == 0.0:
        return value
    unit = 10.0 ** (math.floor(math.log10(size)) - 1)
    rounded = (math.ceil(value / unit - 1e-9) if up else math.floor(value / unit + 1e-9)) * unit
    return float(f"{rounded:.9g}")


def _beyond(p: Choice, at_high: bool) -> Any:
    """The number that comes after the last (or before the first) of an ordered choice: by their ratio, if that is the
    same all along, else by their difference. None where there is none."""
    values = [float(v) for v in (p.values if at_high else p.values[::-1])]
    last, before = values[-1], values[-2]
    positive = all(v > 0 for v in values)
    ratios = [b / a for a, b in pairwise(values)] if positive else []
    if ratios and max(ratios) <= 1.05 * min(ratios):
        out = last * ratios[-1]
    else:
        out = last + (last - before)
    if positive and out <= 0:
        return None
    if all(isinstance(v, int) for v in p.values):
        whole = round(out)
        return None if whole in p.values or (positive and whole < 1) else whole
    return float(f"{out:.6g}")
