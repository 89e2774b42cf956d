"""What the output folders of all recipes share."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.errors import JobError
from tunesmith.recipes.output import Settled, begin, search_s, settle, start_over


@dataclass(frozen=True)
class Plan:
    seed: int = 0


def searched(folder: Path, *written: str) -> None:
    """A search that turns out to make no sense once a few files are there."""
    with begin(folder, "tabular", Plan()):
        (folder / "train").mkdir()
        for name in ("train/images.npy", *written):
            (folder / name).touch()
        raise JobError("nonsense")


def refused(folder: Path, *written: str) -> None:
    with pytest.raises(JobError, match="nonsense"):
        searched(folder, *written)


def test_where_a_call_makes_no_sense_nothing_is_left(tmp_path: Path) -> None:
    refused(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_what_was_there_stays_and_so_does_a_study(tmp_path: Path) -> None:
    refused(tmp_path / "new", "study.db")
    assert (tmp_path / "new" / "fit.json").exists()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "fit.json").touch()
    refused(tmp_path / "begun")
    assert (tmp_path / "begun" / "fit.json").exists()


@pytest.mark.parametrize(
    ("limit_s", "spent_s", "left_s"),
    [
        (120.0, 0.0, 105.0),
        (120.0, 3.5, 102.0),
        (20.0, 0.0, 15.0),  # 12 % would not do for the final fits
        (4.0, 0.0, 1.0),
        (10.0, 30.0, 1.0),
    ],
)
def test_how_long_a_search_may_take(limit_s: float, spent_s: float, left_s: float) -> None:
    assert search_s(limit_s, 0.88, spent_s) == left_s


@dataclass(frozen=True)
class Search:
    """What a search is about."""

    digest: str = "one"
    metric: str = "rmse"
    parts: dict[str, str] = field(
        default_factory=lambda: {"rows": "9", "column a": "digest 1 number"}
    )
    spent_s: float = 0.0


CHANGED = Search("two", parts={"rows": "9", "column a": "digest 2 number"})
SAME = {"digest": "table", "metric": "metric ({})"}


def settled(
    folder: Path, plan: Search, on_change: Any = "refuse"
) -> tuple[Settled[Search], list[str]]:
    said: list[str] = []
    return settle(folder, "tabular", plan, SAME, on_change, said.append), said


class TestChangedData:
    """A search that is resumed on other data says so, and `on_change` decides."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        with begin(tmp_path / "m", "tabular", Search()):
            (tmp_path / "m" / "study.db").touch()
        return tmp_path / "m"

    def test_it_is_refused_with_what_has_changed(self, folder: Path) -> None:
        assert settled(folder, Search())[0] == Settled(folder, Search())
        with pytest.raises(
            JobError, match=r"(?s)another table:\n  column a has changed.*--on-change new"
        ):
            settled(folder, CHANGED)
        assert [p.name for p in folder.parent.iterdir()] == ["m"]

    def test_a_new_search_is_found_again(self, folder: Path) -> None:
        place, said = settled(folder, CHANGED, "new")
        assert place == Settled(folder.with_name("m-2"), CHANGED)
        assert "this one is in" in said[0]
        with begin(place.folder, "tabular", place.plan):
            (place.folder / "study.db").touch()
        assert settled(folder, CHANGED, "new")[0] == place
        assert settled(folder, Search(), "new")[0].folder == folder
        assert settled(folder, Search("two", "mae"), "new")[0].folder.name == "m-3"

    def test_going_on_starts_over_with_the_best_configs(self, folder: Path) -> None:
        place, said = settled(folder, CHANGED, "continue")
        assert place == Settled(folder, CHANGED, changed=True)
        assert "column a has changed" in said[0]
        storage, space = folder / "other.db", ts.Space(x=ts.Float(0, 1))
        assert start_over(storage, space) == 0.0, "nothing was searched yet"
        study = ts.Study.create(space, storage=storage, name="fit", searcher="random", trials=3)
        for value in (0.3, 0.1):
            study.tell(study.ask(), value)
        configs = [trial.config for trial in study.trials]
        start_over(storage, space)
        assert [trial.retracted for trial in study.trials] == [True, True, False, False]
        assert [study.ask().config for _ in range(2)] == configs[::-1]
        with pytest.raises(JobError, match=r"have changed too much .*--on-change new"):
            start_over(storage, ts.Space(x=ts.Float(0, 1), y=ts.Int(1, 3)))

    @pytest.mark.parametrize("on_change", ["refuse", "continue"])
    def test_another_question_is_none_of_it(self, folder: Path, on_change: str) -> None:
        with pytest.raises(JobError, match=r"another metric \(rmse\)"):
            settled(folder, Search("two", "mae"), on_change)

    def test_a_search_of_an_earlier_version(self, folder: Path) -> None:
        plan = json.loads((folder / "fit.json").read_text())
        del plan["parts"], plan["spent_s"]
        (folder / "fit.json").write_text(json.dumps(plan))
        assert settled(folder, Search())[0].plan.metric == "rmse"
