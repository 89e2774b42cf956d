"""What the default searcher makes of its evidence: forecasts, priors, earlier studies, and whose trials are whose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.prior_study import PriorStudy
from tunesmith.core.rng import stream
from tunesmith.core.space.points import Points
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Origin, State
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.surrogate import Model
from tunesmith.search.cmaes import _Run
from tunesmith.strategy.evidence import Evidence

LINE = ts.Space(x=ts.Float(0, 1))
SQUARE = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))


def begun(ledger: Ledger, config: dict[str, Any], origin: Origin = Origin(USER)) -> int:
    number = ledger.size
    ledger.apply(events.Suggested(float(number), number, config, origin, "s"))
    return number


def ended(ledger: Ledger, number: int, value: float, state: State = State.COMPLETED) -> None:
    ledger.apply(events.Finished(float(number), number, 0, state, (value,), {"value": value}))


def modelled(ledger: Ledger) -> Model:
    history = History(ledger)
    domain = Domain(history.space, history.seed, history.past)
    return Model.of(domain, history, Evidence.of(history), 1.0)


class TestForecasts:
    """Trials with curves, of which some stop at the first of ten steps; how much others improve varies a lot."""

    @staticmethod
    def study(stopped: dict[float, float]) -> Ledger:
        ledger = Ledger(StudySpec(name="curves", space=LINE))
        rng = np.random.default_rng(0)
        for x in np.linspace(0.05, 0.6, 12):
            number = begun(ledger, {"x": float(x)})
            first, last = 2.0 + rng.random(), 1.0 + (x - 0.3) ** 2
            for step in range(1, 11):
                value = first + (last - first) * (step - 1) / 9
                ledger.apply(events.Reported(0.0, number, 0, step, {"value": value}))
            ended(ledger, number, float(value))
        for x, first in stopped.items():
            number = begun(ledger, {"x": x})
            ledger.apply(events.Reported(0.0, number, 0, 1, {"value": first}))
            ended(ledger, number, first, State.STOPPED)
        return ledger

    def test_their_deviations_are_evidence(self) -> None:
        evidence = Evidence.of(History(self.study({0.9: 2.5})))
        assert (evidence.deviations[:12] == 0.0).all()
        assert 0.01 < evidence.deviations[12] < 2.0

    def test_one_is_never_what_is_to_be_improved_on(self) -> None:
        """At step 1 it is so low that it would end far below the best."""
        ledger = self.study({0.9: 0.5})
        evidence = Evidence.of(History(ledger))
        completed = float(evidence.losses[:12].min())
        assert evidence.losses[12] < completed
        model = modelled(ledger)
        assert model.back(model.best) == pytest.approx(completed, abs=1e-6)

    def test_the_model_doubts_them(self) -> None:
        """Beside a forecast it is less sure than beside a result."""
        ledger = self.study({0.9: 2.5})
        unsure = modelled(ledger).predict(np.array([[0.9]]))[1]
        ledger.apply(events.Corrected(1.0, 12, (1.4,), {"value": 1.4}, "it was completed", "me"))
        assert unsure[0] > 2.0 * modelled(ledger).predict(np.array([[0.9]]))[1][0]

    def test_nothing_but_forecasts(self) -> None:
        ledger = Ledger(StudySpec(name="stopped", space=LINE))
        for x in (0.1, 0.4, 0.6, 0.9):
            number = begun(ledger, {"x": x})
            ledger.apply(events.Reported(0.0, number, 0, 1, {"value": x}))
            ended(ledger, number, x, State.STOPPED)
        assert np.isfinite(modelled(ledger).best)


def test_the_users_prior_fades_as_the_results_become_many() -> None:
    """piBO's weight is beta / n, with all results for n, though the model sees some hundred of them."""
    space = ts.Space(x=ts.Float(0, 1, prior=ts.Normal(0.3, 0.1)), y=ts.Float(0, 1))
    ledger = Ledger(StudySpec(name="many", space=space))
    for number in range(1000):
        config = space.sample(stream(0, number, "many"))
        ended(ledger, begun(ledger, config), (config["x"] - 0.3) ** 2 + config["y"])
    assert 0.0 < modelled(ledger)._prior_weight <= 10.0 / 1000


class TestEarlierStudies:
    @staticmethod
    def loss(config: dict[str, Any]) -> float:
        return float(5.0 + (config["x"] - 0.7) ** 2 + 2.0 * (config["y"] - 0.2) ** 2)

    def study(self, now: Any) -> tuple[Ledger, list[dict[str, Any]], list[float]]:
        """Four trials of a study that begins with the best of an earlier one."""
        configs = [SQUARE.sample(stream(1, k, "earlier")) for k in range(40)]
        losses = [self.loss(c) for c in configs]
        earlier = PriorStudy.of("earlier", configs, losses)
        ledger = Ledger(StudySpec(name="now", space=SQUARE, past=(earlier,)))
        tried = Domain(SQUARE, 0, (earlier,)).transfer.tried
        for point, _ in tried:
            config = SQUARE.decode(point)
            ended(ledger, begun(ledger, config), now(config))
        config = {"x": 0.5, "y": 0.5}
        ended(ledger, begun(ledger, config), now(config))
        return ledger, configs, losses

    def test_an_identical_one_is_believed(self) -> None:
        """The first results, all good ones, are not taken for the average: what was bad before is bad."""
        ledger, configs, losses = self.study(self.loss)
        model = modelled(ledger)
        mean, _ = model.predict(np.array([SQUARE.encode(c) for c in configs]))
        predicted = [model.back(float(m)) for m in mean]
        assert np.corrcoef(predicted, losses)[0, 1] > 0.95
        assert np.abs(np.array(predicted) - losses).mean() < 0.1 * float(np.ptp(losses))

    def test_one_on_another_scale_is_not_taken_for_the_same(self) -> None:
        ledger, _, _ = self.study(lambda c: 1000.0 * self.loss(c) - 3000.0)
        history = History(ledger)
        transfer = Domain(SQUARE, 0, history.past).transfer.of(0)
        assert not transfer.alike(history.points, history.first_losses)


class TestCmaesAmongOthers:
    """Within `auto` one trial in ten may be CMA-ES's: the others' are none of its generations."""

    @staticmethod
    def state(others: float) -> Any:
        """After eight own trials among many of `bayes`, whose later results are `others`."""
        ledger = Ledger(StudySpec(name="auto", space=SQUARE))
        for number in range(100):
            own = number >= 20 and number % 10 == 0
            why = "cmaes (10% of trials now): why" if own else "bayes (90% of trials now): why"
            config = SQUARE.sample(stream(2, number, "auto"))
            begun(ledger, config, Origin("auto", why))
            loss = config["x"] + config["y"]
            ended(ledger, number, loss if own or number < 20 else others)
        run = _Run(Points(SQUARE), 0, 4)
        run.follow(History(ledger))
        return run._state

    def test_generations_are_its_own_trials(self) -> None:
        state = self.state(0.5)
        assert state.generation == 2
        np.testing.assert_array_equal(state.m, self.state(-9.0).m)

    def test_it_begins_where_others_have_come_to(self) -> None:
        ledger = Ledger(StudySpec(name="auto", space=SQUARE))
        for number in range(20):
            config = SQUARE.sample(stream(3, number, "auto"))
            ended(ledger, begun(ledger, config), config["x"] + config["y"])
        run = _Run(Points(SQUARE), 0, 6)
        run.follow(History(ledger))
        best = int(np.argmin(ledger.column("losses")[:, 0]))
        np.testing.assert_allclose(run._state.m, History(ledger).points[best])
