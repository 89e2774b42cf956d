"""When a study is over: its limits, and what is still to gain."""

from __future__ import annotations

from typing import Final, NamedTuple

from tunesmith.core.events import Quit
from tunesmith.core.history import History
from tunesmith.core.ledger import RECENT, Ledger
from tunesmith.core.outcome import fingerprint
from tunesmith.core.quantity import count, show_seconds
from tunesmith.core.strategy import Forecaster

#: The forecaster is asked from so many results on, every few, how much so many more trials would gain; and the
#: study ends if that is too little so often running.
LOOK_FROM: Final = 20
LOOK_EVERY: Final = 5
LOOK_AHEAD: Final = 20
LOOK_HOLDS: Final = 3


def good_enough(ledger: Ledger, at: float) -> Quit | None:
    """The first limit that says that there is no need to search on; None if none does. O(1)."""
    limits, single = ledger.spec.limits, len(ledger.spec.objectives) == 1
    incumbent = ledger.improvement.trial
    if limits.target is not None and incumbent is not None:
        objective = ledger.spec.first_objective
        value = ledger.values(incumbent)
        assert value is not None
        if value[0] * objective.sign <= limits.target * objective.sign:
            detail = f"trial {incumbent} reached the target: {objective.metric} {value[0]:g}"
            return Quit("target", detail)
    if (
        limits.no_improvement is not None
        and ledger.improvement.trials_since >= limits.no_improvement
    ):
        best = "" if incumbent is None else f", which is still trial {incumbent}'s"
        on = f"the best value{best}" if single else "those that no other beats"
        many = ledger.improvement.trials_since
        return Quit(
            "no_improvement",
            f"{count(many, 'trial')} {'has' if many == 1 else 'have'} not improved on {on}",
        )
    patience_s = limits.no_improvement_time
    if patience_s is not None and ledger.best_age_s(at) >= patience_s:
        what = "better value" if single else "trial that no other beats"
        detail = f"no {what} for {show_seconds(patience_s)}"
        return Quit("no_improvement", detail)
    return None


def used_up(ledger: Ledger, at: float) -> Quit | None:
    """The first limit that is used up; None if none is. O(running trials)."""
    limits = ledger.spec.limits
    if limits.time is not None and ledger.elapsed_s(at) >= limits.time:
        return Quit("time", f"the time limit of {show_seconds(limits.time)} is used up")
    if limits.compute_time is not None or limits.cost is not None:
        return _spent(ledger, at)
    return _too_many_failures(ledger)


def _spent(ledger: Ledger, at: float) -> Quit | None:
    """Whether compute time or money is used up, running trials included."""
    limits = ledger.spec.limits
    running_s = sum(max(0.0, at - ledger.started_at(n)) for n in ledger.running)
    if limits.compute_time is not None and ledger.compute_time_s + running_s >= limits.compute_time:
        spent = show_seconds(limits.compute_time)
        return Quit("compute_time", f"the compute time of {spent} is used up")
    if limits.cost is not None:
        money = ledger.money + running_s / 3600 * (limits.price_per_hour or 0.0)
        if money >= limits.cost:
            return Quit("cost", f"the cost limit of {limits.cost:g} is used up")
    return _too_many_failures(ledger)


def _too_many_failures(ledger: Ledger) -> Quit | None:
    limits = ledger.spec.limits
    failures = ledger.failures
    if not failures:
        return None
    share = sum(ledger.recent) / RECENT
    known = len(ledger.recent) == RECENT
    if limits.failure_rate is not None and known and share >= limits.failure_rate:
        many = f"{sum(ledger.recent)} of the last {RECENT} trials failed"
        return Quit("failures", f"{many}; the last one: {ledger.reason(failures[-1])}")
    reason = ledger.reason(failures[-1])
    if limits.failures_in_a_row is not None and len(failures) >= limits.failures_in_a_row:
        return Quit("failures", f"{len(failures)} trials in a row failed; the last one: {reason}")
    if (
        limits.same_error is not None
        and len(failures) >= limits.same_error
        and ledger.session_successes == 0
    ):
        reasons = [ledger.reason(number) for number in failures[-limits.same_error :]]
        if len({fingerprint(r) for r in reasons if r is not None}) == 1:
            detail = f"the first {len(failures)} trials all failed alike: {reason}"
            return Quit("failures", detail)
    return None


class Gains(NamedTuple):
    """What has been looked ahead: after how many results it was asked last, and how often running too little
    was to gain."""

    asked: int = 0
    held: int = 0

    def look(self, history: History, forecaster: Forecaster, least: float | str) -> Gains:
        """Ask `forecaster` what is to gain, if it is time to; `least` is a number, or "noise"."""
        results = history.completed
        if self.over or results < LOOK_FROM or results // LOOK_EVERY <= self.asked // LOOK_EVERY:
            return self
        expected = forecaster(history, LOOK_AHEAD)
        if expected is None:
            return self
        enough = expected.noise if isinstance(least, str) else least
        return Gains(results, self.held + 1 if expected.gain < enough else 0)

    @property
    def over(self) -> bool:
        """Whether little is left to gain."""
        return self.held >= LOOK_HOLDS
