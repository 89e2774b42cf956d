"""Recommendations for the next run, in sentences: rules on failures, ranges, importance and the outlook."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.certainty import Certainty, recommended
from tunesmith.analysis.findings import EXPLAINED, LITTLE, few, listed
from tunesmith.analysis.importance import Importance, Share
from tunesmith.analysis.regions import Region, region_of
from tunesmith.analysis.regions import failures as regions_of
from tunesmith.analysis.trials import TrialArrays, cut, show
from tunesmith.core.quantity import count, show_number, show_seconds
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.strategy import Outlook
from tunesmith.core.trial import Kind, Reason, State

#: The outermost part of a range, as a share of its scale.
EDGE: Final = 0.05
#: A parameter that surely explains less than this, and less than `LITTLE`, can be fixed.
SURELY: Final = 0.05
#: Ranges of parameters that explain less than this are left as they are.
SOME: Final = 0.10
#: Good trials are those whose distance to the best is at most this share of the median's (and what is within the
#: noise), but at least so many; most of them have to agree.
GOOD: Final = 0.1
FEW: Final = 5
#: The best of a large study lie within this share of a range: it can be narrowed.
NARROW: Final = 0.35
#: A winner that is less probable is run again.
CLOSE: Final = 0.8
#: A share of failures worth a word.
MANY: Final = 0.1

_REASONS: Final = {
    Kind.ERROR: "raised an error",
    Kind.TIMEOUT: "took too long",
    Kind.OUT_OF_MEMORY: "ran out of memory",
    Kind.NOT_FINITE: "reached no finite value",
    Kind.LOST: "were lost: their machine or coordinator died",
    Kind.INTERRUPTED: "were interrupted",
}
_REMEDIES: Final = {
    Kind.ERROR: "The message below says what to mend.",
    Kind.TIMEOUT: "Raise the limit trial_time, or leave out what takes so long.",
    Kind.OUT_OF_MEMORY: "Raise the limit trial_memory, or narrow what makes models or batches large.",
    Kind.NOT_FINITE: "Often a learning rate is too high for the rest: lower its upper end.",
}


def next_steps(
    trials: TrialArrays,
    importances: Importance | None,
    outlook: Outlook | None,
    sure: Certainty | None = None,
) -> list[str]:
    """What to try next, the most useful first."""
    steps = failures(trials)
    if not len(trials.done):
        stopped = len(trials.of(State.STOPPED))
        if stopped:
            steps.append(
                "Let some trials run to their end: raise what the scheduler lets them do at first (min, or reduction), "
                "or leave it out for a start."
            )
        elif not steps:
            steps.append("Run some trials first: tunesmith run, or ts.tune.")
        return steps
    single = trials.single
    steps += broken(trials)
    if not len(trials.feasible):
        return steps or ["Go on: no trial keeps the constraints yet."]
    if single and trials.model:  # the space is not the reader's
        steps += go_on(trials, outlook)
    elif single:
        idle = _needless(trials, importances, sure)
        beyond = edges(trials, importances, sure, set(idle))
        steps += beyond.values()
        steps += go_on(trials, outlook)
        steps += _fix(idle)
        steps += _narrow(trials, importances, {*beyond, *idle})
        steps += confirm(trials, sure)
    steps += _schedule(trials)
    if not steps:
        steps.append(
            "Nothing stands out. More trials are the simplest next step."
            if single
            else "More trials fill the gaps between those that no other beats."
        )
    return steps


def failures(trials: TrialArrays) -> list[str]:
    """The reasons that many trials failed for."""
    kinds: dict[Kind, list[int]] = {}
    for number in trials.of(State.FAILED).tolist():
        reason = trials.ledger.reason(number)
        if reason is not None:
            kinds.setdefault(Kind.TIMEOUT if gave_up(reason) else reason.kind, []).append(number)
    regions = {one.kind: one.region for one in regions_of(trials.ledger)}
    sentences = []
    for kind, numbers in sorted(kinds.items(), key=lambda item: -len(item[1])):
        n = len(numbers)
        if n < 2 or n < MANY * trials.size:
            continue
        words = f"{n:,} of {count(trials.size, 'trial')} {_REASONS.get(kind, f'failed ({kind})')}."
        where, remedy = _lie(regions.get(kind)), _REMEDIES.get(kind, "")
        if trials.model and kind is Kind.TIMEOUT:  # its limits and its space are not the reader's
            words = f"{n:,} of {count(trials.size, 'trial')} were given up, since they would have taken too long."
            where, remedy = "", "More time (--time) lets larger models end."
        sentences.append(" ".join(filter(None, [words, where, remedy])))
    return sentences


def broken(trials: TrialArrays) -> list[str]:
    """The constraints that many trials break, and where these are."""
    excess, constraints = trials.ledger.column("excess"), trials.ledger.spec.constraints
    sentences = []
    for k, constraint in enumerate(constraints):
        numbers = trials.done[excess[trials.done, k] > 0.0]
        if len(numbers) < 2 or len(numbers) < MANY * len(trials.done):
            continue
        bad, tried = (np.isin(np.arange(trials.size), some) for some in (numbers, trials.done))
        where = _lie(
            region_of(trials.ledger.spec.space, trials.ledger.column("numbers"), bad, tried)
        )
        remedy = ""
        if not len(trials.feasible):
            remedy = (
                "Loosen it (tunesmith edit judges all trials again), or widen what could keep it."
            )
        elif where and 2 * len(numbers) > len(trials.done):
            remedy = "Leave that out of the space, and fewer trials are spent on it."
        words = f"{len(numbers):,} of {count(len(trials.done), 'completed trial')} break {constraint.text}."
        sentences.append(" ".join(filter(None, [words, where, remedy])))
    return sentences


def gave_up(reason: Reason) -> bool:
    """Whether a training ended itself since it would take too long: studies of earlier versions have it as an error."""
    return reason.kind is Kind.TIMEOUT or (
        reason.kind is Kind.ERROR and reason.message.startswith("TooSlow: ")
    )


def good(trials: TrialArrays, sure: Certainty | None) -> NDArray[np.int64]:
    """The good trials, the best first: all that are nearly as good as the best, or not to be told from it."""
    losses = trials.own_losses[trials.ranked]
    if len(losses) <= FEW:
        return trials.ranked
    reach = GOOD * float(np.median(losses) - losses[0])
    if sure is not None and sure.noisy:
        reach = max(reach, sure.noise)
    return trials.ranked[: max(FEW, int((losses <= losses[0] + reach).sum()))]


def _lie(region: Region | None) -> str:
    """Where most of them lie, if some parameter tells."""
    if region is None or not region.where:
        return ""
    who = (
        f"All {region.of:,}"
        if region.inside == region.of
        else f"{region.inside:,} of the {region.of:,}"
    )
    others = f"{region.outside:,}" if region.outside else "none"
    return f"{who} with {region.where} did, {others} of the {region.rest:,} others."


class Edge(NamedTuple):
    """A parameter whose good values are at the end of its range: at which, and how many of the good ones."""

    at_high: bool
    near: int
    of: int


def edges(
    trials: TrialArrays,
    importances: Importance | None,
    sure: Certainty | None,
    needless: Set[str],
) -> dict[str, str]:
    """Parameters whose good values are at the end of their range, where what is beyond may be better, with what to
    do; those that are `needless` are none."""
    space = trials.ledger.spec.space
    sentences: dict[str, str] = {}
    for name, edge in where_at_edge(trials, importances, sure, needless).items():
        parameter = space.tunables[name]
        if isinstance(parameter, Choice):
            sentence = _choice_edge(name, parameter, edge)
        else:
            sentence = _beyond(name, parameter, edge)
        if sentence:
            sentences[name] = sentence
    return sentences


def where_at_edge(
    trials: TrialArrays,
    importances: Importance | None,
    sure: Certainty | None,
    needless: Set[str],
) -> dict[str, Edge]:
    """The parameters, numbers and ordered choices of numbers, whose good values are at the end of their range."""
    space, points = trials.ledger.spec.space, trials.ledger.column("points")
    top = good(trials, sure)
    matters = shares(importances)
    at_ends: dict[str, Edge] = {}
    for column, (name, parameter) in enumerate(space.tunables.items()):
        at = points[top, column]
        at = at[np.isfinite(at)] if np.isfinite(at[0]) else at[:0]  # where it is used
        if name in needless or len(at) < 2 or (name in matters and matters[name].high < LITTLE):
            continue
        if isinstance(parameter, Choice):
            k, least = parameter.size, 0.6 * len(at)
            if not _is_scale(parameter):
                continue
            index = np.floor(np.nan_to_num(at, nan=0.5) * k)
            ends = ((False, index == 0), (True, index == k - 1))
        else:
            low, high = parameter.unit(np.array([parameter.low, parameter.high], dtype=np.float64))
            ends = ((False, at <= low + EDGE), (True, at >= high - EDGE))
            least = max(2, math.ceil(0.6 * len(at)))
        for at_high, near in ends:
            if near[0] and near.sum() >= least:
                at_ends[name] = Edge(at_high, int(near.sum()), len(at))
    return at_ends


def _is_scale(parameter: Choice) -> bool:
    """Whether it is an ordered choice of at least three numbers."""
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in parameter.values)
    return parameter.ordered and numeric and parameter.size >= 3


def _choice_edge(name: str, parameter: Choice, edge: Edge) -> str:
    """An ordered choice of numbers whose last (or first) one is best."""
    value = show(parameter.values[-1 if edge.at_high else 0])
    n = f"{edge.near} of the best {edge.of} have it"
    which = "last" if edge.at_high else "first"
    return f"{name} is best at {value}, the {which} of its choices ({n}): add one beyond it."


def wider(p: Float | Int, at_high: bool) -> float | None:
    """Where a range may end instead, one of whose ends is best; None where that end is a natural bound."""
    end = p.high if at_high else p.low
    out: float
    if p.log == "reverse":
        if not at_high:
            return None
        out = 1 - (1 - p.high) / 10
    elif p.log:
        factor = 4 if isinstance(p, Int) else 10
        out = p.high * factor if at_high else p.low / factor
    else:
        if end in (0, 1) or (isinstance(p, Float) and end == 0.5):
            return None  # a natural bound: shares, counts from 0 or 1
        span = p.high - p.low
        out = p.high + span / 2 if at_high else p.low - span / 2
        if p.low >= 0:
            out = max(out, 0.0)
    if isinstance(p, Float) and p.low >= 0 and p.high < 1:
        out = min(out, 1.0)  # many such are shares
        if not p.log and abs(out - end) < EDGE * (p.high - p.low):
            return None
    if isinstance(p, Int):
        out = max(1.0, math.floor(out)) if p.low >= 1 else math.floor(out)
    return None if out == end else out


def _beyond(name: str, p: Float | Int, edge: Edge) -> str:
    end, out = (p.high if edge.at_high else p.low), wider(p, edge.at_high)
    if out is None:
        return ""
    side = "upper" if edge.at_high else "lower"
    if p.log and isinstance(p, Float) and edge.at_high and end == 1:
        wide = f"if more than 1 makes sense, widen it, to {show_number(out, 3)} say"
    else:
        wide = f"widen it, to {show_number(out, 3)} say"
    return (
        f"{name} is best at the {side} end of its range ({edge.near} of the best {edge.of} are near "
        f"{show_number(float(end), 3)}): {wide}. tunesmith edit does so, and keeps all trials."
    )


def go_on(trials: TrialArrays, outlook: Outlook | None) -> list[str]:
    """Whether more trials are worth it."""
    if outlook is None:
        n = len(trials.done)
        verb = "is" if n == 1 else "are"
        sentence = f"Go on: {count(n, 'result')} {verb} too few to say what more would bring."
        return [sentence] * few(trials)
    if outlook.bound == 0.0:
        return ["Stopping here is sensible: nothing more is to gain in this space."]
    gain, noise = outlook.gain, outlook.noise
    spread = float(np.median(trials.own_losses[trials.feasible])) - float(
        trials.own_losses[trials.ranked[0]]
    )
    expectation = (
        f"{outlook.trials} more trials are expected to gain {show_number(gain, 2)} "
        f"(± {show_number(outlook.deviation, 1)}), and no more than {show_number(outlook.bound, 2)} is left to gain in this space"
    )
    if gain <= max(0.25 * noise, 0.002 * spread):
        return [
            f"Stopping here is sensible: {expectation}. Another space, or more data, would bring more."
        ]
    if gain < noise:
        return [
            f"Going on would bring little: {expectation}; the metric's noise alone is {show_number(noise, 2)}."
        ]
    how = " The same command with a longer time goes on." if trials.model else ""
    return [f"Going on is worth it: {expectation}.{how}"]


def _needless(
    trials: TrialArrays, importances: Importance | None, sure: Certainty | None
) -> dict[str, str]:
    """Parameters to fix, and at which value, as it is shown."""
    return {name: cut(show(v, 3), 20) for name, v in needless(trials, importances, sure).items()}


def needless(
    trials: TrialArrays, importances: Importance | None, sure: Certainty | None
) -> dict[str, Any]:
    """Parameters to fix, and at which value: that of the recommended trial."""
    number = recommended(trials, sure)
    if (
        importances is None
        or importances.explained < 0.5
        or number is None
        or len(importances.parameters) < 2
    ):
        return {}
    config = trials.ledger.config(number)
    names = [
        s.name for s in importances.parameters if s.value < LITTLE and s.high < SURELY and s.usual
    ]
    values = {name: config[name] for name in names if name in config}
    return {} if len(values) == len(importances.parameters) else values


def _fix(needless: Mapping[str, str]) -> list[str]:
    if not needless:
        return []
    values = [f"{name} = {value}" for name, value in needless.items()]
    return [
        f"Fix what made hardly any difference, so that the search has less to look for: {listed(values[:6])}."
    ]


def _narrow(trials: TrialArrays, importances: Importance | None, others: Set[str]) -> list[str]:
    """Ranges that the best trials use only a part of, but for `others`, of which something else is said."""
    if importances is None or len(trials.done) < 40 or importances.explained < 0.5:
        return []
    space, points = trials.ledger.spec.space, trials.ledger.column("points")
    top = trials.ranked[: max(10, len(trials.done) // 20)]
    matters = shares(importances)
    ranges = []
    for column, (name, parameter) in enumerate(space.tunables.items()):
        at = points[top, column]
        if (
            isinstance(parameter, Choice)
            or name in others
            or matters[name].value < SOME
            or np.isnan(at).any()
        ):
            continue
        low, high = np.quantile(at, [0.05, 0.95])
        pad = 0.5 * (high - low) + 0.02
        low, high = max(0.0, low - pad), min(1.0, high + pad)
        if high - low < NARROW:
            ends = [show_number(float(parameter.decode(u)), 2) for u in (low, high)]
            ranges.append(f"{name} from {ends[0]} to {ends[1]}")
    if not ranges:
        return []
    return [
        f"For a finer search, narrow to where the best {len(top)} trials are: {'; '.join(ranges[:4])}."
    ]


def confirm(trials: TrialArrays, sure: Certainty | None) -> list[str]:
    """Whether the winner should be run again."""
    if trials.confirmed or sure is None or not sure.noisy or sure.chance >= CLOSE:
        return []
    return [
        "The best few are too close to call: confirm=3 (under limits) runs them again, and names the likeliest winner."
    ]


def _schedule(trials: TrialArrays) -> list[str]:
    """Whether trials that report could have been stopped early."""
    ledger = trials.ledger
    if ledger.spec.scheduler is not None or len(trials.done) < 10:
        return []
    metric = ledger.spec.first_objective.metric
    of, _, _ = ledger.curves.columns(metric)
    if len(of) < 4 * trials.size:
        return []
    sentence = (
        "Trials report as they go, and all ran to their end: a scheduler (asha, say) stops the hopeless ones early, "
        f"and saves much of the {show_seconds(ledger.compute_time_s)} that they took."
    )
    return [sentence]


def shares(importances: Importance | None) -> dict[str, Share]:
    if importances is None or importances.explained < EXPLAINED:
        return {}
    return {s.name: s for s in importances.parameters}
