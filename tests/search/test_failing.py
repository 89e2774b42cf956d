"""Where trials fail: reasons that depend on the config are learned, each by itself; the others leave the search alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import BLAMED, Kind, Origin, Reason, State
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.failing import Failing, Risky
from tunesmith.search.bayes.surrogate import Model
from tunesmith.store import MemoryStore
from tunesmith.strategy.evidence import Evidence
from tunesmith.tuning.replay import replay

SPACE = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1), kind=ts.Choice("a", "b", "c"))


def ledger_of(
    why: Callable[[dict[str, Any]], Kind | None], trials: int = 40, space: ts.Space = SPACE
) -> Ledger:
    """Random configs, that fail by the reason that `why` says."""
    ledger, rng = Ledger(StudySpec(name="failing", space=space)), np.random.default_rng(3)
    for number in range(trials):
        config = space.sample(rng)
        ledger.apply(events.Suggested(float(number), number, config, Origin("random"), "s"))
        kind = why(config)
        end = events.Finished(number, number, 0, State.COMPLETED, (config["x"],), {"value": 1.0})
        if kind is not None:
            reason = Reason(kind, "so it is")
            end = events.Finished(number, number, 0, State.FAILED, None, {}, reason)
        ledger.apply(end)
    return ledger


def failing_of(ledger: Ledger) -> Failing | None:
    history = History(ledger)
    return Failing.of(Domain(history.space, history.seed), history)


def safe(failing: Failing, *configs: dict[str, Any]) -> list[float]:
    features = Domain(SPACE, 0).features(np.array([SPACE.encode(c) for c in configs]))
    return [float(p) for p in np.exp(failing.log_safe(features))]


class TestRegions:
    def test_each_reason_has_its_own(self) -> None:
        failing = failing_of(
            ledger_of(
                lambda c: (
                    Kind.TIMEOUT if c["x"] > 0.7 else Kind.ERROR if c["kind"] == "b" else None
                ),
                60,
            )
        )
        assert failing is not None
        assert {reason.kind for reason in failing.reasons} == {Kind.TIMEOUT, Kind.ERROR}
        well, slow, wrong = safe(
            failing,
            {"x": 0.3, "y": 0.5, "kind": "a"},
            {"x": 0.95, "y": 0.5, "kind": "a"},
            {"x": 0.3, "y": 0.5, "kind": "b"},
        )
        assert well > 0.8
        assert slow < 0.2
        assert wrong < 0.2

    def test_what_failed_for_one_reason_says_nothing_of_another(self) -> None:
        """All with kind b raise an error before they can take long."""
        failing = failing_of(
            ledger_of(
                lambda c: (
                    Kind.ERROR if c["kind"] == "b" else Kind.TIMEOUT if c["x"] > 0.7 else None
                ),
                60,
            )
        )
        assert failing is not None
        (slow,) = (reason for reason in failing.reasons if reason.kind is Kind.TIMEOUT)
        point = SPACE.encode({"x": 0.95, "y": 0.5, "kind": "b"})[None]
        assert slow.log_safe(Domain(SPACE, 0).features(point))[0] < math.log(0.5)

    @pytest.mark.parametrize("kind", [Kind.LOST, Kind.INTERRUPTED])
    def test_machines_are_to_blame_for_what_is_lost(self, kind: Kind) -> None:
        ledger = ledger_of(lambda c: kind if c["x"] > 0.7 else None)
        assert failing_of(ledger) is None
        assert not np.isnan(Evidence.of(History(ledger)).losses).any()

    def test_a_retracted_failure_counts_no_more(self) -> None:
        ledger = ledger_of(lambda c: Kind.ERROR if c["x"] > 0.7 else None)
        for number in np.flatnonzero(ledger.column("blamed")).tolist():
            ledger.apply(events.Retracted(100.0, number, "a bug, mended", "me"))
        assert failing_of(ledger) is None

    def test_a_trial_that_failed_and_is_corrected_ran_well(self) -> None:
        ledger = ledger_of(lambda c: Kind.ERROR if c["x"] > 0.7 else None)
        for number in np.flatnonzero(ledger.column("blamed")).tolist():
            ledger.apply(events.Corrected(100.0, number, (1.0,), {"value": 1.0}, "by hand", "me"))
        assert not ledger.column("blamed").any()


class TestLimits:
    """A trial that ran into a limit counts as long as the limit is no wider than it was then."""

    def study(self) -> Ledger:
        ledger = ledger_of(lambda c: None, 0)
        ledger.apply(events.Edited(0.0, {"limits": {"trial_time": 60.0}}, "me"))
        return ledger

    @pytest.mark.parametrize(("limit", "counts"), [(120.0, False), (60.0, True), (30.0, True)])
    def test_wider_and_narrower(self, limit: float, counts: bool) -> None:
        ledger = self.study()
        origin = Origin("random")
        ledger.apply(events.Suggested(1.0, 0, {"x": 0.5, "y": 0.5, "kind": "a"}, origin, "s"))
        reason = Reason(Kind.TIMEOUT, "over its time limit")
        ledger.apply(events.Finished(2.0, 0, 0, State.FAILED, None, {}, reason))
        ledger.apply(events.Edited(3.0, {"limits": {"trial_time": limit}}, "me"))
        assert (History(ledger).blamed[0] > 0) == counts
        assert len(Evidence.of(History(ledger)).rows) == counts
        ledger.apply(events.Edited(4.0, {"limits": {"trial_time": 60.0}}, "me"))
        assert BLAMED[History(ledger).blamed[0] - 1] is Kind.TIMEOUT


class TestSlopes:
    def test_they_are_differences(self) -> None:
        ledger = ledger_of(
            lambda c: Kind.TIMEOUT if c["x"] > 0.7 else Kind.ERROR if c["y"] > 0.8 else None
        )
        history = History(ledger)
        domain = Domain(history.space, history.seed)
        failing = Failing.of(domain, history)
        assert failing is not None
        model = Model.of(domain, history, failing.rest(Evidence.of(history)), 1.0)
        risky = Risky(model, failing)
        points = np.array([SPACE.encode({"x": 0.65, "y": 0.75, "kind": k}) for k in "abc"])
        value, gradient = risky.slopes(points)(points)
        assert value == pytest.approx(risky.score(points))
        for j in range(2):
            step = 1e-6 * np.eye(3)[j]
            difference = (risky.score(points + step) - risky.score(points - step)) / 2e-6
            assert gradient[:, j] == pytest.approx(difference, rel=1e-3)


def bowl(config: dict[str, Any]) -> float:
    near = (config["x"] - 0.6) ** 2 + (config["y"] - 0.4) ** 2
    return float(near + {"a": 0.0, "b": 0.3, "c": 0.5}[config["kind"]])


class TestSearch:
    def test_fewer_fail_than_of_random_ones(self) -> None:
        def train(config: dict[str, Any]) -> float:
            if config["x"] * config["y"] > 0.3:
                raise MemoryError("too large")
            if config["kind"] == "b":
                raise ValueError("b is broken")
            return bowl(config)

        result = ts.tune(train, SPACE, metric="loss", trials=40, seed=2, progress=False)
        kinds = [t.reason.kind for t in result.trials[20:] if t.reason is not None]
        assert len(kinds) < 6
        assert (result.best.value or 0.0) < 0.01
        assert any("may fail: " in t.origin.why for t in result.trials)
        assert {str(f.kind) for f in result.failures} == {"out_of_memory", "error"}

    def test_chance_does_not_move_it(self) -> None:
        """What fails by chance, a third of all, leaves the search where it was."""
        for seed in range(3):
            rng = np.random.default_rng(seed)
            study = ts.Study.create(SPACE, metric="loss", trials=45, seed=seed)
            for _ in range(45):
                trial = study.ask()
                if rng.random() < 0.33:
                    study.tell(trial, failed="the network was down")
                else:
                    study.tell(trial, bowl(trial.config))
            assert (study.best.value or 0.0) < 0.01

    @pytest.mark.parametrize(
        "more",
        [
            {"metric": ["loss", "size"]},
            {"metric": "loss", "constraints": ["size <= 1.2"]},
            {"metric": "loss", "cost_metric": "size", "cost": 20},
            {"metric": ["loss", "size"], "parallel": 3, "constraints": ["size <= 1.2"]},
        ],
    )
    def test_with_all_the_rest_and_replayed(self, more: dict[str, Any]) -> None:
        def train(config: dict[str, Any]) -> dict[str, float]:
            if config["x"] < 0.3:
                raise TimeoutError("too slow")
            return {"loss": bowl(config), "size": config["x"] + config["y"]}

        store = MemoryStore()
        options = {"trials": 24, **more}
        result = ts.tune(
            train, SPACE, storage=store, name="study", seed=3, progress=False, **options
        )
        assert replay(store, "study").problems == []
        assert any("may fail: " in t.origin.why for t in result.trials)

    def test_all_fail(self) -> None:
        study = ts.Study.create(
            SPACE, metric="loss", trials=12, seed=1, same_error=None, failures_in_a_row=None
        )
        for _ in range(12):
            study.tell(study.ask(), failed="out of memory")
        assert len({str(t.config) for t in study.result().trials}) == 12


class TestAskAndTell:
    @pytest.mark.parametrize(
        ("told", "kind", "message"),
        [
            ("out_of_memory: 9 GB", Kind.OUT_OF_MEMORY, "9 GB"),
            ("out of memory", Kind.OUT_OF_MEMORY, "out of memory"),
            ("Timeout: after an hour", Kind.TIMEOUT, "after an hour"),
            ("time-out", Kind.TIMEOUT, "time-out"),
            ("not_finite", Kind.NOT_FINITE, "not_finite"),
            ("error: so", Kind.ERROR, "so"),
            ("the printer: on fire", Kind.ERROR, "the printer: on fire"),
            ("lost", Kind.ERROR, "lost"),
            ("", Kind.ERROR, ""),
        ],
    )
    def test_reasons(self, told: str, kind: Kind, message: str) -> None:
        study = ts.Study.create(SPACE, metric="loss", trials=3)
        trial = study.tell(study.ask(), failed=told)
        assert trial.reason is not None
        assert (trial.reason.kind, trial.reason.message) == (kind, message)
