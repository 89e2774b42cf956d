"""Optuna's studies with our suggestions, and studies carried over both ways, with the real Optuna."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

optuna = pytest.importorskip("optuna", reason="runs in the environment 'libraries' (tools/check)")

from optuna.distributions import (  # noqa: E402
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState  # noqa: E402

from tunesmith.integrations import optuna_rows  # noqa: E402
from tunesmith.integrations.optuna import (  # noqa: E402
    TunesmithSampler,
    export_study,
    import_study,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)


def branching(trial: Any) -> float:
    x = trial.suggest_float("x", -5, 5)
    layers = trial.suggest_int("layers", 1, 3)
    loss = sum(abs(trial.suggest_float(f"units {i}", 0, 1) - 0.3) for i in range(layers))
    if trial.suggest_categorical("kind", ["a", None]) == "a":
        loss += abs(math.log10(trial.suggest_float("lr", 1e-5, 1e-1, log=True)) + 3)
    return float(x * x + loss)


def with_sampler(seed: int = 0, **options: Any) -> Any:
    return optuna.create_study(
        study_name="any name", sampler=TunesmithSampler(seed=seed), **options
    )


# -- the sampler ------------------------------------------------------------------------------


def test_it_learns_when_a_parameter_is_asked_for() -> None:
    study = with_sampler()
    study.optimize(branching, n_trials=40)
    learned = study.sampler._mirror(study).asked
    conditions = {k: c.text for k in learned.space if (c := learned.space.condition(k))}
    assert conditions == {"units_1": "layers = 2 or 3", "units_2": "layers = 3", "lr": "kind = a"}
    assert not learned.left_out
    assert all(
        trial.params.keys() == learned.values(learned.config(trial.params)).keys()
        for trial in study.trials
    )


def test_it_searches_better_than_chance_and_the_same_again() -> None:
    def best(sampler: Any) -> float:
        study = optuna.create_study(sampler=sampler)
        study.optimize(branching, n_trials=40)
        return float(study.best_value)

    ours = [best(TunesmithSampler(seed=seed)) for seed in range(2)]
    chance = [best(optuna.samplers.RandomSampler(seed=seed)) for seed in range(2)]
    assert sum(ours) < sum(chance)
    assert best(TunesmithSampler(seed=0)) == ours[0]


def test_a_pruned_trial_is_evidence_and_a_failed_one_ends_nothing() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(3):
            trial.report(x + step / 10, step)
            if x > 0.6:
                raise optuna.TrialPruned
        if x < 0.1:
            raise ArithmeticError("too small")
        return float("nan") if x < 0.15 else x

    study = with_sampler()
    study.optimize(objective, n_trials=20, catch=ArithmeticError)
    study._sampler_probe = study.sampler.infer_relative_search_space(
        study, copy.copy(study.trials[0])
    )
    states = {t.state for t in study.trials}
    assert {TrialState.COMPLETE, TrialState.PRUNED} <= states
    ledger = study.sampler._mirror(study).recorder.ledger
    assert ledger.counts[ts.State.STOPPED] >= 1
    assert ledger.counts[ts.State.COMPLETED] >= 1


def test_several_objectives_and_constraints() -> None:
    def objective(trial: Any) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 5), trial.suggest_float("y", 0, 3)
        trial.set_constraint("in a circle", (x - 5) ** 2 + y * y - 25)
        return 4 * x * x + 4 * y * y, (x - 5) ** 2 + (y - 5) ** 2

    study = with_sampler(directions=["minimize", "minimize"])
    study.optimize(objective, n_trials=25)
    assert len(study.best_trials) > 5
    spec = study.sampler._mirror(study).recorder.ledger.spec
    assert [c.text for c in spec.constraints] == ["in_a_circle <= 0"]


@pytest.mark.filterwarnings("ignore")
def test_constraints_as_before_version_5() -> None:
    sampler = TunesmithSampler(seed=0, constraints_func=lambda trial: (trial.params["x"] - 1,))
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: -t.suggest_float("x", 0, 3), n_trials=15)
    assert len(sampler._mirror(study).constraints) == 1
    assert study.best_trial.params["x"] <= 1


def test_enqueued_values_and_ranges_that_move() -> None:
    study = with_sampler()
    study.enqueue_trial({"x": 0.25})
    study.optimize(
        lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("n", 1, 2 + t.number % 3), n_trials=12
    )
    assert study.trials[0].params["x"] == 0.25
    assert study.sampler._mirror(study).asked.space["n"] == ts.Int(1, 4)


def test_what_no_rule_tells_is_drawn_at_random() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        return float(x) + (trial.suggest_float("odd", 0, 1) if int(x * 1000) % 2 else 0.0)

    study = with_sampler()
    study.optimize(objective, n_trials=20)
    assert study.sampler._mirror(study).asked.left_out == {"odd"}


def test_threads_and_the_hyperband_pruner() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(9):
            trial.report(x, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(x)

    study = with_sampler(pruner=optuna.pruners.HyperbandPruner(max_resource=9))
    study.optimize(objective, n_trials=16, n_jobs=2)
    assert len(study.trials) == 16
    pickle.loads(pickle.dumps(study.sampler))


WORKER = """
import optuna, sys
from tunesmith.integrations.optuna import TunesmithSampler
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="s", storage=sys.argv[1], sampler=TunesmithSampler(seed=0))
study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("n", 0, 3), n_trials=6)
"""


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    optuna.create_study(study_name="s", storage=url)
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, url]) for _ in range(2)]
    assert [worker.wait(300) for worker in workers] == [0, 0]
    trials = optuna.load_study(study_name="s", storage=url).trials
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 12
    assert len({tuple(t.params.items()) for t in trials}) >= 11  # two may ask at the same moment


def test_studies_of_one_name_are_two() -> None:
    sampler = TunesmithSampler(seed=0)
    for low in (0, 5):
        study = optuna.create_study(study_name="s", sampler=sampler)
        study.optimize(lambda trial, low=low: trial.suggest_float("x", low, low + 1), n_trials=4)
        known = sampler._mirror(study)
        assert known.asked is not None
        assert known.asked.space["x"] == ts.Float(low, low + 1)
        assert len(known.finished) == 3


def test_who_suggests_at_the_same_moment_does_not_suggest_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    optuna.create_study(study_name="s", storage=url)
    one, other = (
        optuna.load_study(study_name="s", storage=url, sampler=TunesmithSampler("grid"))
        for _ in range(2)
    )
    numbers = {"n": optuna.distributions.IntDistribution(0, 9)}
    for study in (one, other) * 2:
        study.optimize(lambda trial: trial.suggest_int("n", 0, 9), n_trials=1)
    suggest = one.sampler._mirror(one).suggest
    asked: list[Any] = []

    def late(trial: Any, again: int = 0) -> Any:
        values = suggest(trial, again)
        if not asked:  # between what this one knows and what it writes
            asked.append(other.ask(numbers).params)
        return values

    monkeypatch.setattr(one.sampler._mirror(one), "suggest", late)
    assert one.ask(numbers).params not in asked


# -- carried over -----------------------------------------------------------------------------


def varied(url: str) -> Any:
    """A study with something of everything."""

    def objective(trial: Any) -> float:
        loss = branching(trial)
        for step in range(3):
            trial.report(loss + step, step)
        trial.set_user_attr("note", "a text")
        trial.set_user_attr("seconds", 1.5)
        trial.set_user_attr("list", [1, 2])
        trial.set_user_attr("number as text", "7")
        trial.set_constraint("size", loss - 20)
        if trial.number % 5 == 3:
            raise optuna.TrialPruned
        if trial.number % 5 == 4:
            raise ArithmeticError("no")
        return loss

    study = optuna.create_study(study_name="varied", storage=url, direction="minimize")
    study.optimize(objective, n_trials=15, catch=ArithmeticError)
    study.enqueue_trial({"x": 1.0, "layers": 1, "units 0": 0.5, "kind": None})
    return study


def test_there_and_back(tmp_path: Path) -> None:
    first = varied(f"sqlite:///{tmp_path / 'optuna.db'}")
    here = import_study(tmp_path / "optuna.db", storage=tmp_path / "study.db")
    assert here.name == "varied"
    result = here.result()
    assert result.counts[ts.State.COMPLETED] == 9
    assert result.counts[ts.State.STOPPED] == result.counts[ts.State.FAILED] == 3
    assert result.counts[ts.State.WAITING] == 1
    assert result.best.value == first.best_value
    assert here.spec.space.condition("units_2").text == "layers = 3"  # type: ignore[union-attr]
    assert len(here.log(0)) > 5
    here.close()

    with ts.Study.open(storage=tmp_path / "study.db") as again:
        back = export_study(again, tmp_path / "back.log")
    renamed = {"units 0": "units_0", "units 1": "units_1", "units 2": "units_2"}
    assert len(back.trials) == len(first.trials)
    for theirs, ours in zip(first.trials, back.trials, strict=True):
        assert ours.state is theirs.state
        assert ours.values == theirs.values
        assert ours.intermediate_values == theirs.intermediate_values
        assert ours.params == {renamed.get(k, k): v for k, v in theirs.params.items()}
        if theirs.state is TrialState.COMPLETE:
            assert list(ours.constraints.values()) == pytest.approx(
                list(theirs.constraints.values())
            )
        extra = {k: v for k, v in ours.user_attrs.items() if not k.startswith("metric.")}
        assert extra == theirs.user_attrs
        if theirs.datetime_start is not None:
            assert abs(ours.datetime_start.timestamp() - theirs.datetime_start.timestamp()) < 1
    assert back.trials[-1].system_attrs["fixed_params"]["units_0"] == 0.5
    back.sampler = TunesmithSampler(seed=0)
    back.optimize(lambda t: t.suggest_float("x", -5, 5), n_trials=1)
    again = ts.Study.open(storage=tmp_path / "study.db")
    with pytest.raises(ts.StudyExists, match="has a study 'varied' already"):
        export_study(again, tmp_path / "back.log")
    again.close()


def strange(objectives: int) -> list[Any]:
    """Trials that have everything that Optuna keeps."""
    ranges = {
        "x": FloatDistribution(0, 1, step=0.25),
        "y": FloatDistribution(1e-5, 1, log=True),
        "n": IntDistribution(1, 64, log=True),
        "k": CategoricalDistribution([None, "a", True, 2.5]),
    }
    made = []
    for k, value in enumerate([1.0, math.inf, -math.inf, 0.1 + 0.2]):
        params = {"x": 0.25 * k, "y": 0.1**k, "n": 2**k, "k": ranges["k"].choices[k]}
        made.append(
            optuna.trial.create_trial(
                params=params,
                distributions=ranges,
                values=[value, 2.0][:objectives],
                intermediate_values={} if objectives > 1 else {0: math.nan, 7: value, 3: -value},
                user_attrs={"ä": [1, {"b": None}], "t": "x"},
                system_attrs={"fixed_params": {"x": 0.5}},
                constraints=None if k else {"c": -1.0},
            )
        )
    some = {"params": {"n": 3}, "distributions": {"n": ranges["n"]}}
    made.append(optuna.trial.create_trial(state=TrialState.FAIL, system_attrs={"fail_reason": "r"}))
    made.append(optuna.trial.create_trial(state=TrialState.WAITING))
    if objectives == 1:
        ended = {"value": 2.0, "intermediate_values": {4: 2.0}}
        made.append(optuna.trial.create_trial(state=TrialState.PRUNED, **some, **ended))
        made.append(optuna.trial.create_trial(state=TrialState.PRUNED, **some))
    return made


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("known", [True, False])
def test_rows_that_are_added_at_once_are_those_of_optuna(
    tmp_path: Path, objectives: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, trials = f"sqlite:///{tmp_path / 'optuna.db'}", strange(objectives)
    if not known:  # a later Optuna, which has another column
        monkeypatch.setitem(optuna_rows._COLUMNS, "TrialParamModel", {"trial_id"})
    directions = ["minimize"] * objectives
    theirs, ours = (
        optuna.create_study(study_name=name, storage=url, directions=directions)
        for name in ("theirs", "ours")
    )
    theirs.add_trials(trials)
    optuna_rows.add_trials(ours, trials)
    for study in (ours, optuna.load_study(study_name="ours", storage=url)):
        assert [_without_id(t) for t in study.trials] == [_without_id(t) for t in theirs.trials]
    ours.optimize(lambda t: [t.suggest_int("n", 1, 64, log=True) * 1.0] * objectives, n_trials=1)
    assert [t.number for t in ours.trials] == list(
        range(len(trials))
    )  # it took the one that waited


def _without_id(trial: Any) -> str:
    """All of a trial, by its text (NaN is not equal to itself)."""
    kept = {k: v for k, v in vars(trial).items() if k != "_trial_id"}
    return repr(sorted(kept.items()))


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    result = ts.tune(lambda c: c["x"], ts.Space(x=ts.Float(0, 1)), trials=3, progress=False)
    with monkeypatch.context() as patched:
        patched.setattr(optuna_rows, "distribution_to_json", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export_study(result, url)
    assert optuna.get_all_study_names(url) == []
    assert len(export_study(result, url).trials) == 3


def test_several_objectives_there_and_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(
        study_name="two (of them)", storage=url, directions=["minimize", "maximize"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(["loss", "speed"])
    study.optimize(
        lambda t: (t.suggest_float("x", 0, 1), t.suggest_categorical("kind", [1, 2.5, "c"]) != 1),
        n_trials=6,
    )
    here = import_study(url, "two (of them)", storage=tmp_path / "study.db")
    assert here.name == "two_of_them"
    assert [(o.metric, o.goal) for o in here.spec.objectives] == [
        ("loss", "minimize"),
        ("speed", "maximize"),
    ]
    back = export_study(here, f"sqlite:///{tmp_path / 'back.db'}")
    assert [t.values for t in back.trials] == [t.values for t in study.trials]
    assert [t.params for t in back.trials] == [t.params for t in study.trials]
    assert back.metric_names == ["loss", "speed"]


def test_our_own_study_opens_in_the_dashboard(tmp_path: Path) -> None:
    space = ts.Space(
        x=ts.Float(0, 1), shape=ts.Choice([8, 8], [16]), fixed=3, deep=ts.Int(1, 3, when="x > 0.5")
    )
    result = ts.tune(
        lambda c: {"loss": c["x"], "extra": 2.0},
        space,
        metric="loss",
        trials=5,
        seed=0,
        storage=str(tmp_path / "s.db"),
    )
    made = export_study(result, tmp_path / "optuna.db")
    assert [t.value for t in made.trials] == [t.metrics["loss"] for t in result.trials]
    assert made.trials[0].params["shape"] in ("[8, 8]", "[16]")
    assert made.trials[0].user_attrs == {"metric.extra": 2.0}

    dashboard = pytest.importorskip("optuna_dashboard")
    from wsgiref.util import setup_testing_defaults

    app = dashboard.wsgi(f"sqlite:///{tmp_path / 'optuna.db'}")
    environ: dict[str, Any] = {"PATH_INFO": "/api/studies"}
    setup_testing_defaults(environ)
    answer = b"".join(app(environ, lambda *_: None))
    assert result.spec.name.encode() in answer


@pytest.mark.parametrize(
    ("name", "message"), [("one", "there is no study 'one'"), (None, "say which study")]
)
def test_a_study_that_is_not_there(tmp_path: Path, name: str | None, message: str) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    for each in ("two", "three"):
        optuna.create_study(study_name=each, storage=url)
    with pytest.raises(ts.StudyError, match=message):
        import_study(url, name)
    with pytest.raises(ts.StudyError, match="there is no file"):
        import_study(tmp_path / "nothing.db")
    assert not (tmp_path / "nothing.db").exists()


def test_on_the_command_line(tmp_path: Path) -> None:
    varied(f"sqlite:///{tmp_path / 'optuna.db'}")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from tunesmith.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    done = run("import", "optuna.db", "--storage", "study.db")
    assert done.returncode == 0, done.stderr
    assert "varied" in done.stdout
    assert "16 trials" in done.stdout
    done = run("export", "--storage", "study.db", "--to", "back.db")
    assert done.returncode == 0, done.stderr
    assert (
        len(
            optuna.load_study(
                study_name="varied", storage=f"sqlite:///{tmp_path / 'back.db'}"
            ).trials
        )
        == 16
    )


def test_an_objective_of_optunas_runs_as_it_is_in_tune() -> None:
    def objective(trial: Any) -> float:
        loss: float
        model = trial.suggest_categorical("model", ["ridge", "forest"])
        if model == "ridge":
            loss = abs(trial.suggest_float("alpha", 1e-4, 1e2, log=True) - 1.0) / 100
        else:
            loss = trial.suggest_int("max depth", 2, 32, log=True) / 32
        for step in range(4):
            trial.report(loss + 1 / (step + 1), step=step)
            if trial.should_prune():
                raise optuna.TrialPruned
        trial.set_user_attr("model", model)
        return loss

    there = optuna.create_study()
    there.optimize(objective, n_trials=6)
    result = ts.tune(objective, trials=20, scheduler="median", seed=1, progress=False)
    states = {str(trial.state) for trial in result.trials}
    assert states <= {"completed", "stopped"}
    assert result.spec.space["alpha"].when == {"model": ["ridge"]}
    assert result.best.tags["model"] == result.best.config["model"]
