import numpy as np
from tests.core.driver import completed, failed, ledger, opened, reported, suggested

from tunesmith.core import events
from tunesmith.core.history import History, derivative
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.space.parameter import Choice, Float
from tunesmith.core.space.space import Space
from tunesmith.core.trial import CODES, Cost, State


def study() -> Ledger:
    """Trials: 0 completed, 1 failed, 2 completed, 3 retracted, 4 running."""
    return ledger(
        opened(),
        suggested(0),
        completed(0, 0.5),
        suggested(1),
        failed(1),
        suggested(2),
        reported(2, 1, 0.9),
        completed(2, 0.25),
        suggested(3),
        completed(3, 0.0),
        events.Retracted(4.0, 3, "why", "me"),
        suggested(4),
        objectives=(Objective("loss", "maximize"),),
        trials=9,
        parallel=2,
    )


def test_what_a_searcher_sees() -> None:
    history = History(study())
    assert len(history) == 5
    assert (history.seed, history.trials_limit, history.parallel) == (0, 9, 2)
    assert history.first_losses.tolist()[:1] == [-0.5], "less is better"
    assert np.isnan(history.losses[[1, 4], 0]).all()
    assert history.where(State.COMPLETED).tolist() == [True, False, True, False, False]
    assert history.where(State.RUNNING, State.FAILED).tolist() == [False, True, False, False, True]
    assert history.usable.tolist() == [True, True, True, False, True]
    assert history.best == 0
    assert history.find({"x": 2 / 64, "c": "a"}) == 2
    assert [r.step for r in history.curve(2)] == [1]
    assert history.trial(2).value == 0.25


def test_the_budget_of_a_deterministic_study_is_by_what_is_seen() -> None:
    by_metric: dict[str, object] = {"cost_metric": "price", "parallel": 2, "deterministic": True}

    def left(*hidden: events.Event, **limits: object) -> float | None:
        begun = [suggested(k) for k in range(3)]
        ended = [completed(0, 0.5, cost=Cost(9.0, money=2.0)), *hidden]
        made = ledger(opened(), *begun, *ended, **{**by_metric, **limits})
        return History(made, visible=1).budget_left

    early = completed(2, 0.5, cost=Cost(9.0, money=5.0))
    assert left(cost=10.0) == left(early, cost=10.0) == 0.8
    assert left(compute_time=100.0) is None, "seconds are by the clock, whatever a cost is by"


def test_how_many_trials_fit_into_what_may_be_spent() -> None:
    def expected(prices: list[float], running: int = 0, **limits: object) -> int | None:
        begun = [suggested(k) for k in range(len(prices) + running)]
        ended = [completed(k, 0.5, cost=Cost(9.0, money=price)) for k, price in enumerate(prices)]
        made = ledger(opened(), *begun, *ended, cost_metric="price", **limits)
        return History(made).trials_expected

    assert expected([2.0, 4.0], cost=30.0) == 10
    assert expected([2.0, 4.0], cost=30.0, trials=8) == 8, "that ends it first"
    assert expected([2.0, 4.0], cost=30.0, trials=50) == 10
    assert expected([2.0, 4.0], trials=50) == 50
    assert expected([2.0, 4.0], running=3, trials=50) == 50
    assert expected([], cost=30.0) is None, "nothing tells"
    assert expected([]) is None


def test_hidden_results_look_like_running_trials() -> None:
    history = History(study(), visible=1)
    running = CODES[State.RUNNING]
    assert history.states.tolist() == [CODES[State.COMPLETED], *[running] * 4]
    assert np.isnan(history.losses[1:]).all()
    assert history.losses[0, 0] == -0.5
    assert history.curve(2) == ()
    assert history.best == 0
    assert History(study(), visible=0).best is None
    assert history.points.shape == (5, 2), "configs are known"


def test_a_view_does_not_change_the_ledger() -> None:
    original = study()
    before = original.column("state").tolist(), original.column("losses").tolist()
    hidden = History(original, visible=0)
    assert hidden.states is not original.column("state")
    after = original.column("state").tolist(), original.column("losses").tolist()
    assert str(after) == str(before)


def test_a_memo_is_kept_and_made_once() -> None:
    memos: dict[object, object] = {}
    made = []

    def make() -> str:
        made.append(1)
        return "memo"

    for _ in range(3):
        assert History(study(), memo=memos).memo("key", make) == "memo"
    assert len(made) == 1


def test_gradients_are_by_the_points_coordinates() -> None:
    """By hand: loss = x on (0, 1), maximised, so the derivative by the coordinate is -1 times the range."""
    space = Space(
        x=Float(0, 10),
        rate=Float(1e-4, 1, log=True),
        m=Float(0, 0.9, log="reverse"),
        c=Choice("a", "b"),
    )
    config = {"x": 2.0, "rate": 1e-2, "m": 0.5, "c": "a"}
    everything: list[dict[str, float | None]] = [
        {"loss": 0.5, "d_loss/d_x": 3.0, "d_loss/d_rate": 7.0, "d_loss/d_c": 1.0},
        {"loss": 0.5},
        {"loss": 0.5, "d_loss/d_x": None, "d_loss/d_m": 1.0},
    ]
    book = ledger(opened(), space=space, objectives=(Objective("loss", "maximize"),))
    for number, metrics in enumerate(everything):
        book.apply(suggested(number, config))
        book.apply(events.Finished(3.0, number, 0, State.COMPLETED, (0.5,), metrics))
    found = History(book).gradients
    assert found.shape == (3, 4)
    np.testing.assert_allclose(found[0, :2], [-30.0, -7.0 * 1e-2 * np.log(1e4)])
    assert np.isnan(found[0, 2:]).all()
    assert np.isnan(found[1]).all()
    assert np.isnan(found[2, [0, 1, 3]]).all()
    np.testing.assert_allclose(found[2, 2], -0.5 * np.log(10.0))
    assert np.isnan(History(book, visible=0).gradients).all()
    assert derivative("loss", "x") == "d_loss/d_x"
    assert History(book).origin(1).why == "why"
