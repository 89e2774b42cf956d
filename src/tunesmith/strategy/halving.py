"""Successive halving, as its schedulers share it: rungs, rankings, and who goes on from a rung."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.core import pareto
from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Resume, Verdict
from tunesmith.core.trial import CODES, State
from tunesmith.strategy import breach
from tunesmith.strategy.rungs import Rungs

Floats: TypeAlias = NDArray[np.float64]

#: Without a first rung given, it is at this share of the longest run.
FIRST: Final = 27
#: The trials that are compared; None for all.
Among: TypeAlias = Sequence[int] | None
_PAUSED: Final = CODES[State.PAUSED]


def levels(longest: int, first: int | None, reduction: float) -> tuple[int, ...]:
    """The rungs of a whole run of `longest` steps: first, first * reduction, .. below `longest`."""
    level = float(first or max(1, math.ceil(longest / FIRST)))
    rungs: list[int] = []
    while math.ceil(level) < longest:
        if not rungs or math.ceil(level) > rungs[-1]:
            rungs.append(math.ceil(level))
        level *= reduction
    return tuple(rungs)


def crossed(history: History, rungs: Rungs, trial: int) -> int | None:
    """The rung to which `trial` has just come for the first time; None for none.

    One that starts over, because it was lost or had no checkpoint, is not judged again where it was.
    """
    stride = history.stride(trial)
    k = None if stride is None else rungs.crossed(*stride)
    return k if k is not None and rungs.just_came(k, trial) else None


def continue_or_stop(
    history: History, rungs: Rungs, k: int, trial: int, reduction: float, *, among: Among = None
) -> Decision:
    """Whether `trial` is among the best ``1/reduction`` at rung `k`: it goes on, or stops."""
    mine = rungs.loss(k, trial)
    ordered = ranking(history, rungs, k, among)
    if math.isinf(mine):
        return _no_number(history, trial, ordered)
    n, place = len(ordered), _place(history, ordered, mine, trial)
    most = max(int(n / reduction), members(history, rungs, k, ordered))
    if n < reduction or place <= max(most, 1):
        return CONTINUE
    step, level = _step(history, trial), rungs.levels[k]
    came = "" if step == level else f" that came to step {level}"
    broken = breach.named(history, trial)
    because = f", for it will break {broken}" if broken else ""
    return Decision(
        Verdict.STOP,
        f"at step {step} {_what(history, rungs, k, trial)} is number {place} of {n}{came}{because}; the best {most} go on",
    )


def _step(history: History, trial: int) -> int:
    """The step of the report by which a trial is judged: its last."""
    return next(history.back(trial)).step


def _what(history: History, rungs: Rungs, k: int, trial: int) -> str:
    """What a trial was compared by at rung `k`, in words."""
    losses = losses_there(history, rungs, k, [trial])[0].tolist()
    if len(losses) == 1:
        return f"its {history.first_objective.metric} of {history.first_objective.sign * losses[0]:.4g}"
    values = (
        f"{o.metric} {o.sign * v:.4g}" for o, v in zip(history.objectives, losses, strict=True)
    )
    return f"it, with {' and '.join(values)},"


def pause(history: History, rungs: Rungs, k: int, trial: int) -> Decision:
    """Every trial pauses at rung `k`; one without a finite value, where others have one, goes no further."""
    if math.isinf(rungs.loss(k, trial)):
        return _no_number(history, trial, ranking(history, rungs, k))
    rungs.reopen(k, trial)
    return Decision(Verdict.PAUSE, f"the best at step {rungs.levels[k]} will go on")


def _no_number(history: History, trial: int, ranked: list[tuple[float, int]]) -> Decision:
    """On a trial whose last report has no finite value: where nobody has one, that says nothing about anybody."""
    if all(math.isinf(loss) for loss, _ in ranked):
        return CONTINUE
    metric = history.first_objective.metric
    return Decision(Verdict.STOP, f"its {metric} is not finite at step {_step(history, trial)}")


def ranking(history: History, rungs: Rungs, k: int, among: Among = None) -> list[tuple[float, int]]:
    """Loss and number of the usable trials that have come to rung `k`, the best first; of equal ones the
    earlier. Those that confirm others are left out. O(1) for all trials, if there are none of these and
    none has been retracted; else O(n log n).

    With several objectives, by non-dominated sorting of what they had there: O(n^2). Those that will surely break a
    constraint come after all others.
    """
    usable, one = history.usable, len(history.objectives) == 1
    usable[list(history.confirming)] = False
    if among is None and usable.all() and not _sorted_anew(history):
        return rungs.ordered(k)
    everyone = rungs.at(k)[0].tolist() if among is None else among
    trials = [trial for trial in everyone if rungs.highest(trial) >= k and usable[trial]]
    pairs = [(rungs.loss(k, trial), trial) for trial in trials]
    if one:
        ordered = sorted(pairs)
    else:
        ordered = [pairs[i] for i in pareto.order(losses_there(history, rungs, k, trials)).tolist()]
    if not history.constraints:
        return ordered
    breaks = breach.surely(history, np.array([trial for _, trial in ordered], dtype=np.int64))
    return [ordered[i] for i in np.argsort(breaks, kind="stable").tolist()]


def members(history: History, rungs: Rungs, k: int, ordered: list[tuple[float, int]]) -> int:
    """With several objectives, how many of the first of a ranking no other one at rung `k` beats, and keep the
    constraints: they go on, however many they are; else 0."""
    if len(history.objectives) == 1:
        return 0
    trials = [trial for _, trial in ordered]
    breaks = breach.surely(history, np.array(trials, dtype=np.int64))
    losses = losses_there(
        history, rungs, k, [t for t, b in zip(trials, breaks, strict=True) if not b]
    )
    return int((pareto.fronts(losses) == 0).sum()) if len(losses) else 0


def _sorted_anew(history: History) -> bool:
    """Whether there is more to a ranking than one loss."""
    return len(history.objectives) > 1 or bool(history.constraints)


def losses_there(history: History, rungs: Rungs, k: int, trials: Sequence[int]) -> Floats:
    """What these trials had when they came to rung `k`, shape (n, objectives); inf for what was not finite, or not
    there."""
    if len(history.objectives) == 1:
        return np.array([[rungs.loss(k, trial)] for trial in trials])
    reports = np.array([rungs.report(k, trial) for trial in trials], dtype=np.int64)
    return np.nan_to_num(history.losses_at(reports), nan=np.inf, posinf=np.inf)


def _place(history: History, ordered: list[tuple[float, int]], loss: float, trial: int) -> int:
    """The place of a trial among them, from 1 on; equal ones share the first. With several objectives or constraints, one
    that is not among them (it is outside the space) has the first place."""
    if _sorted_anew(history):
        trials = [t for _, t in ordered]
        return trials.index(trial) + 1 if trial in trials else 1
    return bisect_left(ordered, (loss, -1)) + 1


def promote(
    history: History, rungs: Rungs, k: int, reduction: float, *, among: Among = None
) -> Resume | None:
    """The best trial that pauses at rung `k`, if it is among the best ``1/reduction`` of all that came
    there. O(log n) in their number, amortised, where there is one bracket."""
    states, ending = history.states, history.ending

    def waits(trial: int) -> bool:
        paused = states[trial] == _PAUSED or trial in ending
        return bool(paused) and rungs.highest(trial) == k

    ordered = ranking(history, rungs, k, among)
    if among is None and not _sorted_anew(history):
        trial = rungs.first(k, waits)
    else:
        trial = next((t for _, t in ordered if waits(t)), None)
    if trial is None or states[trial] != _PAUSED:
        return None
    at = (rungs.loss(k, trial), trial)
    place = (ordered.index(at) if _sorted_anew(history) else bisect_left(ordered, at)) + 1
    if place > max(int(len(ordered) / reduction), members(history, rungs, k, ordered)):
        return None
    return Resume(trial, f"number {place} of {len(ordered)} {way(rungs, k)}")


def finish(history: History, rungs: Rungs) -> Resume | None:
    """The best paused trial of the highest rung that has one, if the study would end without any trial
    that ran to its end: no more will begin, none runs, none has been completed."""
    if not history.full or history.where(State.RUNNING, State.COMPLETED).any():
        return None
    states = history.states
    for k in reversed(range(len(rungs.levels))):
        for _, trial in ranking(history, rungs, k):
            if states[trial] == _PAUSED and rungs.highest(trial) == k:
                return Resume(trial, f"the best {way(rungs, k)}: no trial has run to its end yet")
    return None


def way(rungs: Rungs, k: int) -> str:
    """From rung `k` to the next, in words."""
    to = f"step {rungs.levels[k + 1]}" if k + 1 < len(rungs.levels) else "its end"
    return f"at step {rungs.levels[k]}, on to {to}"
