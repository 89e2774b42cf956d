"""Trials of an earlier version of program or data: what they count for is the user's to say, and said."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.program import tunesmith

import tunesmith as ts
from tunesmith.analysis import constraints
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.aging import Worth
from tunesmith.core.history import History
from tunesmith.store import MemoryStore, open_store
from tunesmith.tuning.feed import Feed
from tunesmith.tuning.replay import replay
from tunesmith.tuning.result import Result

SPACE = ts.Space(x=ts.Float(0.0, 1.0), y=ts.Float(0.0, 1.0))


def fractions(config: dict[str, Any]) -> float:
    return float((config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2)


def percentages(config: dict[str, Any]) -> float:
    return 100 * fractions(config) + 50


def changed_in_nothing(config: dict[str, Any]) -> float:
    return 0.0 + fractions(config)


def run(store: Any, objective: Any, trials: int, **options: Any) -> Result:
    options = {"searcher": "random", **options}
    return ts.tune(
        objective, SPACE, name="s", storage=store, trials=trials, seed=1, progress=False, **options
    )


def exact(store: Any) -> bool:
    again = replay(store, "s")
    return again.suggestions > 0 and not again.problems and not again.rounded


def test_the_best_is_one_of_the_program_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    old = run(path, fractions, 4)
    result = run(path, percentages, 8)
    assert [t.version for t in result.trials] == [1] * 4 + [2] * 4
    assert result.best.version == 2
    assert result.best.value is not None
    assert result.best.value >= 50
    again = [t for t in result.trials if "of an earlier version once more" in t.origin.why]
    ranked = sorted(old.trials, key=lambda t: t.value or 0.0)
    assert [t.config for t in again] == [t.config for t in ranked[:2]], "half of what is left"
    store = open_store(path)
    assert store.summary("s").best == result.best.number
    assert store.verify("s") is None
    assert exact(store)
    history = History(result.ledger)
    assert history.current_version == 2
    assert history.versions.tolist() == [1] * 4 + [2] * 4
    assert history.usable.tolist() == [False] * 4 + [True] * 4
    assert (history.own, len(history)) == (4, 8)
    assert TrialArrays(result.ledger).done.tolist() == [4, 5, 6, 7]
    assert TrialArrays(old.ledger).done.tolist() == [0, 1, 2, 3]
    store.close()


def test_all_results_count_together_where_they_are_to(capsys: pytest.CaptureFixture[str]) -> None:
    store = MemoryStore()
    run(store, fractions, 4)
    result = run(store, percentages, 6, changed="keep")
    assert result.best.version == 1
    assert result.evidence == []
    assert "all results count together (changed='keep')" in capsys.readouterr().err
    assert not any("once more" in t.origin.why for t in result.trials)
    assert run(store, percentages, 7).best.version == 2, "from now on they do not"
    assert run(store, percentages, 8, changed="keep").best.version == 1, "and from now on they do"
    assert exact(store)


def test_the_store_s_summary_has_the_same_best(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "s.db")) as store:
        run(store, fractions, 4)
        for changed, trials in (("discount", 7), ("keep", 8), ("drop", 9)):
            result = run(store, percentages, trials, changed=changed)
            assert store.summary("s").best == result.best_observed.number
            assert (result.best_observed.version == 1) == (changed == "keep")


def test_old_results_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    store = MemoryStore()
    run(store, fractions, 4)
    result = run(store, percentages, 7, changed="drop", searcher="auto")
    shown = capsys.readouterr().err
    assert "the old results are left out once there are new ones (changed='drop')" in shown
    assert result.best.version == 2
    assert [str(worth) for worth in result.evidence] == ["left out"]
    assert "defaults" in result.trials[4].origin.why or "middle" in result.trials[4].origin.why
    assert History(result.ledger).earlier_versions() == ()
    assert exact(store)


def test_old_results_are_learned_from_as_an_earlier_study_s() -> None:
    store = MemoryStore()
    run(store, fractions, 12)
    result = run(store, changed_in_nothing, 20, searcher="auto")
    [worth] = result.evidence
    assert (worth.version, worth.trials, worth.changed) == (1, 12, "discount")
    assert worth.correlation is not None
    assert worth.agreement is not None
    assert worth.correlation > 0.5
    assert worth.agreement > 0.5
    [earlier] = History(result.ledger).earlier_versions()
    assert earlier.study == "version 1"
    assert len(earlier.losses) == 12
    assert result.best.value == pytest.approx(0.0, abs=2e-3)
    assert exact(store)


@pytest.mark.parametrize("searcher", ["auto", "tpe", "evolution", "cmaes", "sobol", "grid"])
def test_every_searcher_goes_on_and_replays(searcher: str) -> None:
    store = MemoryStore()
    options: dict[str, Any] = {
        "searcher": {"grid": {"levels": 3}} if searcher == "grid" else searcher
    }
    run(store, fractions, 9, **options)
    result = run(store, percentages, 17, **options)
    assert len(result.trials) == 17
    assert result.best.version == 2
    if searcher == "grid":  # is walked again
        assert len({tuple(t.config.values()) for t in result.trials[9:]}) >= 8 - 3
    assert exact(store)


def test_a_deterministic_study_stays_one() -> None:
    trials = []
    for _ in range(2):
        store = MemoryStore()
        run(store, fractions, 6, deterministic=True, searcher="auto")
        result = run(store, percentages, 12, deterministic=True, searcher="auto")
        trials.append([t.config for t in result.trials])
        assert exact(store)
    assert trials[0] == trials[1]


def test_the_old_best_stays_the_best_while_there_is_no_new_one(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    old = run(path, fractions, 4)
    result = run(path, percentages, 4)
    assert result.best.number == old.best.number
    store = open_store(path)
    assert store.summary("s").best == old.best.number
    assert store.verify("s") is None
    store.close()


def test_a_version_that_comes_back_counts_again() -> None:
    store = MemoryStore()
    old = run(store, fractions, 4)
    run(store, percentages, 8)
    result = run(store, fractions, 9)
    assert result.trials[8].version == 1
    assert result.best.version == 1
    assert (result.best.value or 0.0) <= (old.best.value or 0.0)
    assert History(result.ledger).aged.tolist() == [False] * 4 + [True] * 4 + [False]


def test_an_old_result_reaches_no_target_and_is_no_improvement() -> None:
    store = MemoryStore()
    run(store, fractions, 5)
    result = run(store, percentages, 20, target=1.0, no_improvement=6)
    assert result.ended_by == "no_improvement"
    assert len(result.trials) > 5 + 6
    assert result.best.version == 2


def test_several_objectives_have_a_front_of_the_program_as_it_is_now() -> None:
    store = MemoryStore()

    def two(scale: float) -> Any:
        return lambda c: {"a": scale * (1 + c["x"]), "b": scale * (2 - c["x"])}

    options: dict[str, Any] = {"metric": ["a", "b"], "goal": ["minimize", "minimize"]}
    run(store, two(1.0), 4, **options)
    result = run(store, two(10.0), 8, **options)
    assert {t.version for t in result.front} == {2}
    assert exact(store)


def test_data_have_a_version_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    store = MemoryStore()
    run(store, fractions, 3, data_version="2026-10")
    run(store, fractions, 4, data_version="2026-10")
    assert "has changed" not in capsys.readouterr().err
    result = run(store, fractions, 7, data_version="2026-11")
    assert "data_version: 2026-11 (it was 2026-10)" in capsys.readouterr().err
    assert [t.version for t in result.trials] == [1] * 4 + [2] * 3
    with pytest.raises(ts.StudyError, match="data_version: 3 "):
        run(store, fractions, 9, data_version=3, on_change="refuse")


@pytest.mark.parametrize("wrong", ["", "  ", True, ["a"], {"a": 1}])
def test_a_version_is_a_word_or_a_number(wrong: Any) -> None:
    with pytest.raises(ts.StudyError, match="data_version is a word or a number"):
        run(None, fractions, 1, data_version=wrong)
    with pytest.raises(ts.StudyError, match="data_version is a word or a number"):
        ts.Study.create(SPACE, data_version=wrong)


def test_what_is_no_way_to_take_old_results_is_refused() -> None:
    store = MemoryStore()
    with pytest.raises(ts.StudyError, match="changed is one of 'discount', 'keep', 'drop'"):
        run(store, fractions, 1, changed="forget")
    assert store.names() == []


@pytest.mark.parametrize("first", [None, 1])
def test_ask_and_tell_with_new_data(first: int | None) -> None:
    store = MemoryStore()
    study = ts.Study.create(SPACE, name="s", storage=store, seed=1, data_version=first, trials=20)
    for _ in range(5):
        trial = study.ask()
        study.tell(trial, fractions(trial.config))
    best = study.best
    study = ts.Study.open("s", storage=store, data_version=2)
    trial = study.ask()
    assert trial.config == best.config, "the old best is run again first"
    study.tell(trial, percentages(trial.config))
    assert study.best.number == trial.number
    assert [t.version for t in study.trials] == [1] * 5 + [2, None, None]  # those that wait
    for _ in range(6):
        trial = study.ask()
        study.tell(trial, percentages(trial.config))
    assert study.best.version == 2
    assert exact(store)
    hand = ts.Study.open("s", storage=store)  # whoever names no data takes them as they are now
    late = hand.ask()
    hand.tell(late, 1.0)
    assert hand.best.number == late.number


def test_an_old_trial_that_ends_later_is_old() -> None:
    store = MemoryStore()
    slow = ts.Study.create(SPACE, name="s", storage=store, seed=1, data_version=1, trials=20)
    late, other = slow.ask(), slow.ask()
    slow.tell(other, 2.0)
    study = ts.Study.open("s", storage=store, data_version=2)
    new = study.ask()
    study.tell(new, 5.0)
    slow.tell(late, 1.0)
    assert study.best.number == new.number
    assert History(study.result().ledger).aged.tolist()[:2] == [True, True]
    study.retract(new, why="wrong")
    assert study.best.number == late.number
    study.retract(new, undo=True, why="right")
    study.correct(late, 0.5, why="better")
    assert study.best.number == new.number
    assert store.summary("s").best == new.number


def test_what_breaks_a_constraint_is_counted_of_the_program_as_it_is_now() -> None:
    store, feed = MemoryStore(), Feed()
    options: Any = {"constraints": ["memory <= 5"], "metric": "loss", "seed": 1}
    with ts.Study.create(SPACE, name="s", storage=store, data_version=1, **options) as study:
        for memory in (5.1, 9.0):
            study.tell(study.ask(), {"loss": 1.0, "memory": memory})
        nearest = study.result().nearest
        assert nearest is not None
        assert nearest.number == 0
    with ts.Study.open("s", storage=store, data_version=2) as study:
        ledger = study.result().ledger
        assert constraints.sentences(ledger) == ["2 of 2 completed trials break memory <= 5."]
        broken, kept = study.ask(), study.ask()
        study.tell(broken, {"loss": 1.0, "memory": 7.0})
        study.tell(kept, {"loss": 2.0, "memory": 1.0})
        result = study.result()
        assert feed.moment(result.ledger, 0.0).broken == 1
        assert constraints.sentences(result.ledger) == [
            "1 of 2 completed trials breaks memory <= 5."
        ]
        assert result.nearest is not None
        assert result.nearest.number == broken.number


def test_an_old_trial_is_not_marked_as_the_best_then() -> None:
    store, feed = MemoryStore(), Feed()
    slow = ts.Study.create(SPACE, name="s", storage=store, seed=1, data_version=1)
    late = slow.ask()
    study = ts.Study.open("s", storage=store, data_version=2)
    new = study.ask()
    feed.moment(study.result().ledger, 0.0)
    study.tell(new, 5.0)
    slow.tell(late, 1.0)
    changes = feed.moment(study.result().ledger, 1.0).changes
    assert {change.trial.number: change.best for change in changes} == {
        late.number: False,
        new.number: True,
    }


def test_studies_of_earlier_tunesmiths_are_as_they_were() -> None:
    store = MemoryStore()
    run(store, fractions, 3, changed="keep")
    run(store, percentages, 5, changed="keep")
    assert not any(b'"changed"' in e for e in map(_text, store.changes("s")))
    result = ts.Study.open("s", storage=store).result()
    assert result.best.version == 1
    assert not np.asarray(History(result.ledger).aged).any()


def _text(event: Any) -> bytes:
    from tunesmith.core import codec

    return codec.encode(event).encode()


def test_what_old_results_are_worth_in_words() -> None:
    assert str(Worth(1, 9, "discount", 0.95, 0.9)).startswith("worth nearly as much as new ones")
    assert str(Worth(1, 9, "discount", 0.1, -0.2)).startswith("worth next to nothing")
    assert str(Worth(1, 9, "discount")) == "an earlier study's to the search"


def test_a_job_says_what_becomes_of_old_results(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys\nprint(f'loss={float(sys.argv[1])}')\n")
    (tmp_path / "job.yaml").write_text(
        "name: j\ncommand: python3 train.py {x}\nobjective: {metric: loss}\n"
        "metrics: {loss: 'loss={number}'}\nspace: {x: {float: [0, 1]}}\nlimits: {trials: 3}\n"
        "seed: 1\nsearcher: random\nstorage: s.db\ndata_version: 2026-10\n"
    )
    assert tunesmith(tmp_path, "run", "job.yaml", "-q").code == 0
    again = tunesmith(tmp_path, "run", "job.yaml", "-q", "--trials", "5", "--data-version", "b")
    assert "data_version: b (it was 2026-10)" in again.err
    assert "(--changed discount)" in again.err
    shown = tunesmith(tmp_path, "show", "-s", "s.db").out
    assert "trials 0 to 2; an earlier study's to the search" in shown
    wrong = tunesmith(tmp_path, "run", "job.yaml", "-q", "--changed", "forget")
    assert wrong.code == 2
    assert "changed is one of" in wrong.err
