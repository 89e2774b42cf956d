"""What breaks a constraint is shown at every door: tables, `show`, `trials`, progress and notebooks."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.tuning.test_constraints import filled
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.tuning.feed import Feed
from tunesmith.tuning.table import select

BOUND: Any = {"constraints": ["memory <= 5"]}


def text_of(study: ts.Study) -> str:
    ledger = study.result().ledger
    return str(Feed().moment(ledger, ledger.last_at))


class TestTables:
    def test_a_column_where_there_are_constraints(self) -> None:
        result = filled(**BOUND).result()
        assert [row["broken"] for row in result.rows()] == [
            "memory <= 5",
            "",
            "",
            "memory <= 5",
            "",
        ]
        header = next(csv.reader(io.StringIO(result.to_csv())))
        assert header[-1] == "broken"
        assert "broken" not in next(csv.reader(io.StringIO(filled().result().to_csv())))

    def test_a_metric_of_that_name(self) -> None:
        study = ts.Study.create(
            ts.Space(x=ts.Float(0, 1)),
            metric="loss",
            constraints=["broken <= 1"],
            searcher="random",
        )
        study.tell(study.ask(), {"loss": 1.0, "broken": 2.0})
        (row,) = study.result().rows()
        assert (row["metric.broken"], row["broken"]) == (2.0, "broken <= 1")

    def test_the_best_first_are_those_that_keep_them(self) -> None:
        result = filled(**BOUND).result()
        assert [row["number"] for row in select(result, sort="value")] == [2, 4, 1, 0, 3]
        others = select(result, sort="value", where="broken == ''")
        assert [row["number"] for row in others] == [2, 4, 1]
        several = filled(metric=["loss", "memory"], **BOUND).result()
        assert [row["number"] for row in select(several, sort="value")][-2:] == [0, 3]


class TestProgress:
    def test_the_best_that_keeps_them(self) -> None:
        assert "best loss 0.3 (trial 2) · 2 break a constraint" in text_of(filled(**BOUND))

    def test_none_keeps_them(self) -> None:
        text = text_of(filled(constraints=["memory <= 0.5"]))
        assert "5 trials · none keeps the constraints yet · 5 break a constraint" in text

    def test_what_the_rule_prefers(self) -> None:
        study = filled(metric=["loss", "memory"], prefer={"loss": 0.3})
        assert "preferred loss 0.4, memory 2 (trial 4)" in text_of(study)


class TestShow:
    @pytest.fixture
    def store(self, tmp_path: Path) -> str:
        filled(storage=tmp_path / "s.db", **BOUND).close()
        several: Any = {"metric": ["loss", "memory"], "prefer": {"loss": 0.3}, "name": "several"}
        filled(storage=tmp_path / "s.db", **several, **BOUND).close()
        filled(storage=tmp_path / "s.db", name="none", constraints=["memory < 1"]).close()
        return str(tmp_path / "s.db")

    def shown(self, *words: str) -> str:
        done = CliRunner().invoke(app, [*words])
        assert done.exit_code == 0, done.output
        return done.output

    def test_which_and_how_many(self, store: str) -> None:
        text = self.shown("show", "bounded", "-s", store)
        assert "memory <= 5, broken by 2 of 5 completed trials" in text
        assert "best: loss 0.3 (trial 2)" in text
        found = json.loads(self.shown("show", "bounded", "-s", store, "--json"))
        assert found["broken"] == {"memory <= 5": 2}
        assert "breaks memory <= 5" in self.shown("show", "bounded", "-s", store, "-t", "0")

    def test_rule_and_knee(self, store: str) -> None:
        text = self.shown("show", "several", "-s", store)
        assert "prefer: loss within 0.3 of its best" in text
        assert "<- preferred" in text
        found = json.loads(self.shown("show", "several", "-s", store, "--json"))
        assert found["best"][0]["number"] == 1
        assert {trial["number"] for trial in found["front"]} == {1, 2, 4}

    def test_none(self, store: str) -> None:
        text = self.shown("show", "none", "-s", store)
        assert "memory < 1, broken by 5 of 5 completed trials" in text
        assert "the nearest is trial 1" in text

    def test_trials(self, store: str) -> None:
        assert "broken" in self.shown("trials", "bounded", "-s", store)
        rows = self.shown("trials", "bounded", "-s", store, "--sort", "value", "--csv")
        assert [line.split(",")[0] for line in rows.splitlines()[1:]] == ["2", "4", "1", "0", "3"]
        with_few = self.shown(
            "trials", "bounded", "-s", store, "--sort", "value", "-n", "1", "--csv"
        )
        assert with_few.splitlines()[1].startswith("2,")


def test_notebooks() -> None:
    page = filled(**BOUND).result()._repr_html_()
    assert "2 of 5 completed trials break memory &lt;= 5." in page
    none = filled(constraints=["memory <= 0.5"]).result()._repr_html_()
    assert "no trial that keeps its constraints" in none
