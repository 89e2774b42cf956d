"""A summary of the results in sentences: how good the best is, how sure that is, which parameters mattered."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tunesmith.analysis.certainty import Certainty, worth_of_best
from tunesmith.analysis.importance import Importance
from tunesmith.analysis.style import NO_GROUP
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.confirm import SURE
from tunesmith.core.quantity import count, show_number
from tunesmith.core.trial import State

#: A parameter that explains less than this made no difference.
LITTLE: Final = 0.03
#: Where the model explains less than this share, it says nothing about parameters.
EXPLAINED: Final = 0.3


def listed(words: list[str]) -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def few(trials: TrialArrays) -> bool:
    """Whether there are too few results for a model of them."""
    return len(trials.done) < max(10, len(trials.ledger.spec.space) + 2)


def headline(trials: TrialArrays) -> str:
    """The study in a sentence."""
    ledger = trials.ledger
    if not trials.size:
        return "No trial has been run yet."
    if not len(trials.done):
        failed = len(trials.of(State.FAILED))
        if failed and failed == trials.size:
            return (
                f"All {count(failed, 'trial')} failed." if failed > 1 else "The only trial failed."
            )
        if len(trials.of(State.STOPPED)) == trials.size:
            return f"{count(trials.size, 'trial').capitalize()} ran, and none to its end: all were stopped early."
        return f"No trial has been completed yet, of {trials.size:,}."
    if not len(trials.feasible):
        which = "the constraint" if len(ledger.spec.constraints) == 1 else "all constraints"
        if len(trials.done) == 1:
            return f"The only completed trial does not keep {which}."
        return f"None of {count(len(trials.done), 'completed trial')} keeps {which}."
    if not trials.single:
        metrics = listed([o.metric for o in ledger.spec.objectives])
        n = len(trials.front)
        stand = "is one that no other beats" if n == 1 else f"are {n} that no other beats"
        among = f"Among {count(trials.counted, 'trial')}"
        if len(trials.broken):
            among = f"Of {count(len(trials.feasible), 'trial')} that keep the constraints"
        return f"{among} there {stand} in all of {metrics}."
    best = trials.best
    assert best is not None
    worth = worth_of_best(trials)
    if worth is not None:
        of = f"The best of {count(trials.counted, 'trial')}"
        return f"{of} is trial {best}: {trials.metric} {show_number(worth.value)} on average."
    value = show_number(trials.values(np.array([best]))[0])
    of = f"The best of {count(trials.counted, 'trial')}" if trials.counted > 1 else "The only trial"
    keeps = ""
    if len(trials.broken):
        which = "the constraint" if len(ledger.spec.constraints) == 1 else "all constraints"
        keeps = f", and keeps {which}"
    return f"{of} reached {trials.metric} {value}{keeps}."


def gains(trials: TrialArrays) -> list[str]:
    """By how much the best one is better than the first, and than the middle one."""
    if trials.best is None or len(trials.done) < 2:
        return []
    ledger, broken = trials.ledger, set(trials.broken.tolist())
    value = best_value(trials)
    sentences = []
    if trials.confirmed:
        sentences.append(
            f"The best is taken at {show_number(value)}, what it reached on average when it was run again."
        )
    elif worth_of_best(trials) is not None:
        sentences.append(
            f"The best is taken at {show_number(value)}, what it is expected to reach on average."
        )
    first = int(trials.done[0])
    what, why = "The first trial to be completed", ledger.origin(first).why
    if "defaults" not in why and "middle" not in why:
        first = int(trials.done[np.argmin(ledger.column("ended_at")[trials.done])])
    if first != trials.best:
        if "defaults" in why:
            what = "The defaults"
        elif "middle" in why:
            what = "The middle of the space"
        other = float(trials.values(np.array([first]))[0])
        breaks = " and breaks a constraint" if first in broken else ""
        sentences.append(
            f"{what} (trial {first}) reached {show_number(other)}{breaks}: {better(value, other, trials.sign)}."
        )
    if len(trials.feasible) < 2:
        return sentences
    middle = float(np.median(trials.values(trials.feasible)))
    sentences.append(
        f"The median of {_all(trials)} is {show_number(middle)}: {better(value, middle, trials.sign)}."
    )
    if len(trials.ranked) > 1 and trials.best == int(trials.ranked[0]) and not trials.confirmed:
        second = next(int(n) for n in trials.ranked if n != trials.best)
        other = float(trials.values(np.array([second]))[0])
        equal = trials.own_losses[second] == trials.own_losses[trials.best]
        runner = (
            f"Trial {second} reached the same"
            if equal
            else f"The next best is trial {second} with {show_number(other)}"
        )
        sentences.append(f"{runner}.")
    return sentences


def _all(trials: TrialArrays) -> str:
    """All trials that may be best."""
    return "those that keep the constraints" if len(trials.broken) else "the completed trials"


def best_value(trials: TrialArrays) -> float:
    """What the best one is worth: its mean when it was run again, if it was; what it is expected to reach on average
    where values have noise."""
    if trials.confirmed:
        return float(trials.confirmed[0].mean)
    if (worth := worth_of_best(trials)) is not None:
        return worth.value
    return float(trials.values(np.array([trials.best]))[0])


def better(value: float, other: float, sign: float) -> str:
    """How `value` compares to `other`, in words."""
    gap = sign * (other - value)
    if gap == 0:
        return "the best is equal to it"
    words = "better" if gap > 0 else "worse"
    share = ""
    if other != 0 and value * other > 0 and 0.005 <= abs(gap / other) <= 10:
        share = f", {100 * abs(gap / other):.{0 if abs(gap / other) > 0.1 else 1}f} % {'less' if value < other else 'more'}"
    return f"the best is {show_number(abs(gap), 3)} {words}{share}"


def sureness(
    trials: TrialArrays, sure: Certainty | None, importances: Importance | None
) -> list[str]:
    """How sure it is that the best is the best."""
    sentences = []
    for k, one in enumerate(trials.confirmed):
        who = "The winner" if k == 0 else "Behind it"
        sentences.append(f"{who}, trial {one.trial}: {one}.")
    if trials.confirmed:
        if trials.confirmed[0].chance < SURE:
            sentences.append("That is not settled: more runs of these few would tell them apart.")
        return sentences
    if trials.best is None or len(trials.done) < 2:
        return []
    if sure is None and not few(trials):
        where = "with constraints" if trials.ledger.spec.constraints else "for this study"
        return [f"How much luck is in the best value is not worked out {where}."]
    if sure is None:
        return [
            f"Only {count(len(trials.done), 'trial')} ran to the end: too few to say how much luck is in the best value."
        ]
    if importances is None or importances.explained < EXPLAINED:
        little = "The parameters explain too little of the differences between results"
        return [f"{little} to say how much luck is in the best value."]
    if sure.noisy:
        return [*_again(trials, sure), _chance(trials, sure)]
    if sure.chance < SURE:
        low, high = _ends(sure)
        return [
            (
                "Whether the same config run again would reach the same, these trials do not tell: on average it reaches "
                f"{low} to {high} with a probability of 90 %."
            ),
            _chance(trials, sure),
        ]
    return ["The same config run again would reach nearly the same, by what the trials say."]


def _again(trials: TrialArrays, sure: Certainty) -> list[str]:
    """What the best config would reach on average, beside the best value."""
    digits, (low, high) = _digits(sure), _ends(sure)
    sentences = [
        f"The same config run again would differ by about ± {show_number(sure.noise, 2)}.",
        (
            f"On average it would reach some {show_number(sure.worth.value, digits)} "
            f"({low} to {high} with a probability of 90 %)."
        ),
    ]
    observed = trials.incumbent
    assert observed is not None
    reached = float(trials.values(np.array([observed]))[0])
    flattered = trials.sign * (sure.observed_worth.value - reached) > 0.25 * sure.noise
    if observed != sure.likely:
        sentences.append(
            f"Trial {observed} has the best value, {show_number(reached)}, partly by luck: on average it would reach some "
            f"{show_number(sure.observed_worth.value, digits)}."
        )
    elif flattered:
        sentences.append(
            f"It reached {show_number(reached)}: the best of many noisy values is a little flattered by luck."
        )
    return sentences


def _digits(sure: Certainty) -> int:
    """As many as tell its values from one another."""
    wide = max(sure.worth.high - sure.worth.low, 1e-12 * abs(sure.worth.value), 1e-300)
    return min(max(3, math.ceil(math.log10(max(abs(sure.worth.value), 1e-300) / wide)) + 2), 12)


def _ends(sure: Certainty) -> tuple[str, str]:
    return show_number(sure.worth.low, _digits(sure)), show_number(sure.worth.high, _digits(sure))


def _chance(trials: TrialArrays, sure: Certainty) -> str:
    statement = (
        f"It is truly the best of the {len(trials.feasible):,} "
        f"{'that keep the constraints' if len(trials.broken) else 'completed trials'} with a probability of "
        f"{percent(sure.chance)}"
    )
    if sure.recommended != trials.best:
        return (
            f"{statement}. By what the trials around them say, the config of trial {sure.recommended} is better on "
            f"average, at some {show_number(sure.recommended_worth.value)}: that one is recommended, but its checkpoints do not stay."
        )
    if sure.rival is None or sure.chance >= SURE or sure.rival_chance > sure.chance:
        return f"{statement}; none is expected to be better on average."
    return f"{statement}; the likeliest other is trial {sure.rival} ({percent(sure.rival_chance)})."


def percent(share: float) -> str:
    """A probability: never surer than 99 %, as models are only models."""
    return "over 99 %" if share > 0.99 else "under 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _forecasts(trials: TrialArrays, importances: Importance) -> list[str]:
    """What the importance rests on, beside the results of completed trials."""
    forecasts = importances.results - len(trials.done)
    if forecasts <= 0:
        return []
    sentence = (
        f"Of the {importances.results:,} results behind this {forecasts:,} are forecasts: "
        "what trials that were stopped would have come to."
    )
    return [sentence]


def what_mattered(trials: TrialArrays, importances: Importance | None) -> list[str]:
    """Importance in words."""
    if importances is None:
        return ["There are too few different results to say what mattered."]
    sentences = []
    if importances.explained < EXPLAINED:
        sentences.append(
            f"The parameters explain little of the differences between these {importances.results:,} results "
            f"(some {100 * importances.explained:.0f} %): the rest is noise, or needs more trials. Take what follows with care."
        )
    top = [s for s in importances.parameters if s.value >= 0.1][:3] or list(
        importances.parameters[:1]
    )
    words = [f"{s.name} ({100 * s.value:.0f} %)" for s in top]
    verb = "explains" if len(words) == 1 else "explain"
    if sum(s.value for s in top) >= 0.5:
        sentences.append(f"{listed(words)} {verb} most of the differences between results.")
    else:
        sentences.append(
            f"Of the differences between results, {listed(words)} {verb} the largest part; "
            "no few parameters explain most of them."
        )
    sentences += _forecasts(trials, importances)
    little = [
        s.name
        for s in importances.parameters
        if s.high < LITTLE + 0.02 and s.value < LITTLE and s.usual
    ]
    if little and importances.explained >= EXPLAINED:
        sentences.append(f"{listed(little[:8])} made hardly any difference.")
    named = [s for s in importances.groups if s.name != NO_GROUP]
    if sum(s.value for s in named) >= 0.01 and len(importances.groups) > 1:
        words = [
            f"{s.name} {100 * s.value:.0f} %" for s in importances.groups if s.name != NO_GROUP
        ]
        sentences.append(f"By group: {listed(words)}.")
    return sentences
