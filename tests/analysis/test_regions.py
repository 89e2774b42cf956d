"""Where trials fail, in words: which values of which parameters go with which reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.test_report import Page
from tests.cli.program import tunesmith

import tunesmith as ts
from tunesmith.analysis.regions import Failures
from tunesmith.analysis.report import report

SPACE = ts.Space(
    batch_size=ts.Int(16, 1024, log=True),
    width=ts.Int(16, 4096, log=True),
    optimizer=ts.Choice("sgd", "adam", "rmsprop"),
    momentum=ts.Float(0, 1, when={"optimizer": "sgd"}),
    filters=ts.Choice(8, 16, 32, 64, ordered=True),
)


def study(why: Callable[[dict[str, Any]], str], trials: int = 60) -> ts.Study:
    made = ts.Study.create(SPACE, metric="loss", searcher="random", trials=trials, seed=1)
    for _ in range(trials):
        trial = made.ask()
        failed = why(trial.config)
        made.tell(trial, failed=failed) if failed else made.tell(trial, 1.0)
    return made


def found_in(why: Callable[[dict[str, Any]], str], trials: int = 60) -> tuple[Failures, ...]:
    return study(why, trials).result().failures


class TestOneParameter:
    def test_a_number(self) -> None:
        (one,) = found_in(lambda c: "out of memory" if c["batch_size"] >= 256 else "")
        assert one.region.where.startswith("batch_size >= ")
        border = int(one.region.where.split()[-1])
        assert 200 < border <= 300
        assert one.region.inside == one.region.of == len(one.trials)
        assert one.region.outside == 0
        others = 60 - len(one.trials)
        assert str(one) == (
            f"out_of_memory: {len(one.trials)} of {len(one.trials)} trials with batch_size >= {border}, "
            f"none of the {others} others"
        )

    def test_the_lower_end(self) -> None:
        (one,) = found_in(lambda c: "x" if c["width"] < 60 else "")
        assert one.region.where.startswith("width <= ")

    def test_a_choice(self) -> None:
        (one,) = found_in(lambda c: "x" if c["optimizer"] == "adam" else "")
        assert one.region.where == "optimizer = adam"

    def test_an_ordered_choice_is_a_number(self) -> None:
        (one,) = found_in(lambda c: "x" if c["filters"] >= 32 else "")
        assert one.region.where == "filters >= 32"

    def test_a_share_of_those_there(self) -> None:
        (one,) = found_in(lambda c: "x" if c["optimizer"] == "sgd" and c["width"] % 4 else "")
        assert one.region.where == "optimizer = sgd"
        assert one.region.inside < one.region.of


class TestTwo:
    def test_both_have_to_be_large(self) -> None:
        (one,) = found_in(lambda c: "x" if c["batch_size"] * c["width"] >= 1e5 else "", 100)
        first, second = one.region.where.split(" and ")
        assert first.startswith("batch_size >= ")
        assert second.startswith("width >= ")

    def test_each_reason_has_its_own(self) -> None:
        slow, full = sorted(
            found_in(
                lambda c: (
                    "timeout"
                    if c["optimizer"] == "adam"
                    else "out of memory"
                    if c["width"] > 1000
                    else ""
                )
            ),
            key=lambda one: -ord(one.kind[0]),
        )
        assert slow.region.where == "optimizer = adam"
        assert full.region.where.startswith("width >= ")
        assert full.region.of + full.region.rest == 60 - len(slow.trials)


class TestChance:
    @pytest.mark.parametrize("seed", range(8))
    def test_no_parameter_tells(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        (one,) = found_in(lambda _: "x" if rng.random() < 0.25 else "")
        assert one.region.where == ""
        assert str(one) == f"error: {len(one.trials)} of 60 trials"

    def test_all_or_one(self) -> None:
        assert found_in(lambda c: "x" if c["width"] == 0 else "") == ()
        made = study(lambda _: "x", 3)
        assert str(made.result().failures[0]) == "error: 3 of 3 trials"


def test_screens_and_report_say_so(tmp_path: Path) -> None:
    storage = tmp_path / "study.db"
    with ts.Study.create(
        SPACE, metric="loss", searcher="random", trials=40, seed=1, storage=storage
    ) as made:
        for _ in range(40):
            trial = made.ask()
            adam = trial.config["optimizer"] == "adam"
            made.tell(trial, failed="timeout: 1 h") if adam else made.tell(trial, 1.0)
        (one,) = made.result().failures
        page = Page(report(made.result().ledger))
    assert one.region.where == "optimizer = adam"
    n = len(one.trials)
    assert f"{n} of 40 trials took too long. All {n} with optimizer = adam did, none" in page.text
    assert f"{one}." in page.text
    where = ("--storage", "study.db")
    assert str(one) in " ".join(tunesmith(tmp_path, "show", *where).out.split())
    assert tunesmith(tmp_path, "show", *where, "--json").json["failures"] == [
        {"reason": "timeout", "trials": list(one.trials), **one.region._asdict()}
    ]
