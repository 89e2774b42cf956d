"""What the output folders of all recipes share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tunesmith.core.errors import JobError
from tunesmith.recipes.output import begin, search_s


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
