"""Metrics in files that a program writes."""

from __future__ import annotations

import base64
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
from tests.run.test_command import executor, run

from tunesmith.core.errors import JobError
from tunesmith.run.metric_file import MetricFile, MetricFileReader
from tunesmith.run.output import ScannedReport

#: Written by tensorboard 2.20 (EventFileWriter): three steps of val/loss, acc (a tensor of a double), lr (of a float).
EVENTS = base64.b64decode(
    "SAAAAAAAAAD+kkidCeIHkx5cwtpBGg1icmFpbi5FdmVudDoyUi4KLHRlbnNvcmJvYXJkLnN1bW1hcnkud3JpdGVyLm"
    "V2ZW50X2ZpbGVfd3JpdGVyEwaaSEMAAAAAAAAAsYUloAkAAAAAAADwPxAKKjYKDwoIdmFsL2xvc3MVAAAAPwoTCgNh"
    "Y2NCDAgCMggAAAAAAADQPwoOCgJsckIICAEqBAAAAD8jV4x3QwAAAAAAAACxhSWgCQAAAAAAAPA/EBQqNgoPCgh2YW"
    "wvbG9zcxVSSZ04ChMKA2FjY0IMCAIyCGEyVTAqqQM/Cg4KAmxyQggIASoEUkmdOC1PCytEAAAAAAAAAENZLpoJAAAA"
    "AAAA8D8QrAIqNgoPCgh2YWwvbG9zcxUAAMB/ChMKA2FjY0IMCAIyCAAAAAAAAPh/Cg4KAmxyQggIASoEAADAf/U6o6"
    "c="
)


def source(described: dict[str, str]) -> MetricFile:
    return MetricFile.of("loss", described)


def read(
    path: Path, described: dict[str, str], content: str | bytes, before: str | bytes | None = None
) -> tuple[list[ScannedReport], str]:
    """The reports of a program that wrote `content`, and what was wrong; `before` was there already."""

    def write(what: str | bytes) -> None:
        path.write_bytes(what.encode() if isinstance(what, str) else what)

    if before is not None:
        write(before)
        os.utime(path, (1, 1))
    reader = MetricFileReader(source(described), path)
    write(content)
    reports = list(reader.read(time.monotonic() + 60, last=True))
    assert reader.drained
    return reports, reader.problem


NESTED = json.dumps({"eval": {"loss": 0.5, "top.5": 0.9}, "loss": 3}, indent=2)
HISTORY = json.dumps({"val_loss": [3, 2, 1e-5], "epoch": [2, 4, 6]})
RECORDS = json.dumps({"log": [{"step": 5, "loss": 2}, {"lr": 1}, {"step": 9, "loss": 1}]})


@pytest.mark.parametrize(
    ("described", "content", "reports"),
    [
        ({"key": "eval.loss"}, NESTED, [(1, 0.5)]),
        ({"key": "eval.top.5"}, NESTED, [(1, 0.9)]),
        ({}, NESTED, [(1, 3.0)]),
        ({"key": "val_loss", "step": "epoch"}, HISTORY, [(2, 3.0), (4, 2.0), (6, 1e-5)]),
        ({"key": "val_loss.-1"}, HISTORY, [(1, 1e-5)]),
        ({"key": "log.loss", "step": "log.step"}, RECORDS, [(5, 2.0), (9, 1.0)]),
        ({}, '{"loss": 2}\n{"loss": NaN}\n', [(1, 2.0), (2, None)]),
        ({}, '{"loss": null}', [(1, None)]),
    ],
)
def test_json(
    tmp_path: Path, described: Any, content: str, reports: list[tuple[int, float | None]]
) -> None:
    path = tmp_path / "m.json"
    assert read(path, {"json": "m.json", **described}, content) == (
        [(step, {"loss": value}) for step, value in reports],
        "",
    )


@pytest.mark.parametrize(
    ("described", "content", "reports"),
    [
        ({}, "epoch,loss\n1,0.5\n2,7.5e-05\n", [(1, 0.5), (2, 7.5e-5)]),
        ({"step": "epoch"}, "epoch,loss\n10,0.5\n20,nan\n", [(10, 0.5), (20, None)]),
        ({}, "epoch; loss\r\n1; 0.5\r\n", [(1, 0.5)]),
        ({}, 'name\tloss\n"a\tb"\t0.5\n', [(1, 0.5)]),
        ({"step": "epoch"}, "epoch,train,loss\n1,3,\n1,,0.5\n2,2,\n", [(1, 0.5)]),
        ({}, "\ufeffloss\n0.5\n0.25", [(1, 0.5), (2, 0.25)]),
        ({}, "# by trainer\n#\nloss,acc\n0.5,1\n", [(1, 0.5)]),
        ({"step": "epoch"}, "# epoch   loss\n  3   0.5\n 4  0.25\n", [(3, 0.5), (4, 0.25)]),
        ({}, "loss\n0.5\nloss\n0.4\n", [(1, 0.5), (2, 0.4)]),
        ({}, "loss\n0.5\n-\n", [(1, 0.5), (2, None)]),
        ({}, "loss\n0.5\ndiverged\n", [(1, 0.5), (2, None)]),
        ({}, "loss,acc\n0.5,1,\n\x000.4,1,\n", [(1, 0.5), (2, 0.4)]),
        ({}, "loss\n0.5\nN/A\n", [(1, 0.5), (2, None)]),
    ],
)
def test_csv(
    tmp_path: Path, described: Any, content: str, reports: list[tuple[int, float | None]]
) -> None:
    path = tmp_path / "m.csv"
    assert read(path, {"csv": "m.csv", **described}, content) == (
        [(step, {"loss": value}) for step, value in reports],
        "",
    )


@pytest.mark.parametrize(("tag", "factor"), [("val/loss", 1.0), ("acc", 0.5), ("lr", 1.0)])
def test_tensorboard(tmp_path: Path, tag: str, factor: float) -> None:
    reader = MetricFileReader(source({"tensorboard": "runs", "tag": tag}), tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "events.out.tfevents.1.host").write_bytes(EVENTS)
    reports = list(reader.read(math.inf, last=True))
    assert [r.step for r in reports] == [10, 20, 300]
    assert reports[-1].metrics == {"loss": None}
    values = [r.metrics["loss"] for r in reports[:2]]
    assert values == [pytest.approx(0.5 * factor), pytest.approx(7.5e-5 * factor)]


@pytest.mark.parametrize("cut", range(0, len(EVENTS), 37))
def test_tensorboard_half_written(tmp_path: Path, cut: int) -> None:
    reader = MetricFileReader(source({"tensorboard": "runs", "tag": "val/loss"}), tmp_path)
    (tmp_path / "events.out.tfevents.1.host").write_bytes(EVENTS[:cut])
    assert [r.step for r in reader.read(math.inf, last=True)] == [10, 20, 300][: len(reader._last)]


def test_mlflow(tmp_path: Path) -> None:
    """Runs one after the other, with steps and without; what was there before does not count, nor half a line."""
    logged = {"a": "5 9.0 0\n", "b": "12 0.5 0\n13 0.25 0\n14 nan 7\n15 0.1", "c": "20 2.0 3\n"}
    files = {one: tmp_path / "0" / one / "metrics" / "val" / "lo[s]s" for one in logged}
    for file in files.values():
        file.parent.mkdir(parents=True)
    files["a"].write_text(logged.pop("a"))
    reader = MetricFileReader(source({"mlflow": ".", "name": "val/lo[s]s"}), tmp_path)
    for one, text in logged.items():
        files[one].write_text(text)
    got = [(r.step, r.metrics["loss"]) for r in reader.read(math.inf, last=True)]
    assert got == [(0, 0.5), (1, 0.25), (7, None), (8, 2.0)]
    assert reader.problem == ""


def test_mlflow_without_a_word_is_no_problem_of_its_own(tmp_path: Path) -> None:
    reader = MetricFileReader(source({"mlflow": "mlruns"}), tmp_path / "mlruns")
    assert list(reader.read(math.inf, last=True)) == []
    assert reader.problem == ""
    damaged = tmp_path / "mlruns" / "0" / "run" / "metrics" / "loss"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("1 x 0\n")
    reader = MetricFileReader(source({"mlflow": "mlruns"}), tmp_path / "mlruns")
    damaged.write_text("1 low 0\n")
    assert list(reader.read(math.inf, last=True)) == []
    assert "low" in reader.problem


@pytest.mark.parametrize(
    ("described", "content", "problem"),
    [
        ({"json": "m"}, "loss=0.5", "is neither JSON nor JSON lines"),
        ({"json": "m"}, '{"acc": 1}', "has no 'loss'; it has 'acc'"),
        ({"json": "m"}, '{"loss": "low"}', "'loss' in {path} is \"low\", which is no number"),
        ({"csv": "m"}, "epoch,los\n1,2\n", "has no column 'loss'; did you mean 'los'"),
        ({"csv": "m"}, "epoch,acc\n1,2\n", "has no column 'loss'; it has epoch, acc"),
        ({"json": "m"}, '{"losss": 1}', "has no 'loss'; did you mean 'losss'?; it has 'losss'"),
        ({"csv": "m"}, "loss\n", "has no row with a value"),
        ({"csv": "m"}, "loss\nlow\n", "has 'low' in column 'loss', which is no number"),
    ],
)
def test_what_is_wrong(tmp_path: Path, described: Any, content: str, problem: str) -> None:
    path = tmp_path / "m"
    reports, text = read(path, described, content)
    assert not reports
    assert problem.replace("{path}", str(path)) in text


class TestWhatWasThereBefore:
    def test_is_not_this_trials(self, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        path.write_text('{"loss": 0.1}')
        reader = MetricFileReader(source({"json": "m.json"}), path)
        assert list(reader.read(math.inf, last=True)) == []
        assert "is older than the trial, which has not written to it" in reader.problem

    def test_rows_that_are_appended_to(self, tmp_path: Path) -> None:
        old = "epoch,loss\n1,0.1\n"
        reports, _ = read(tmp_path / "m.csv", {"csv": "m.csv"}, old + "1,0.5\n", before=old)
        assert [r.metrics["loss"] for r in reports] == [0.5]

    def test_a_file_that_is_written_anew(self, tmp_path: Path) -> None:
        reports, _ = read(tmp_path / "m", {"json": "m"}, '{"loss": 0.5}', before='{"loss": 0.5}')
        assert [r.metrics["loss"] for r in reports] == [0.5]

    def test_a_file_that_never_comes(self, tmp_path: Path) -> None:
        reader = MetricFileReader(source({"csv": "m.csv"}), tmp_path / "m.csv")
        assert list(reader.read(math.inf, last=True)) == []
        assert "there is no file" in reader.problem


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({}, "name one file, such as"),
        ({"json": "a", "csv": "b"}, "name one file, such as"),
        ({"csv": "a", "colum": "b"}, "there is no 'colum'; did you mean 'column'"),
    ],
)
def test_mistakes(described: Any, message: str) -> None:
    with pytest.raises(JobError, match=f"metrics: loss: {message}"):
        source(described)


def test_a_program_that_writes_one(tmp_path: Path) -> None:
    script = """echo 'epoch,loss' > log.csv; echo 3,0.5 >> log.csv; echo 4,0.25 >> log.csv"""
    metrics: Any = {"loss": {"csv": "log.csv", "step": "epoch"}}
    reports, exited = run(tmp_path, script, metrics=metrics)
    assert [(r.step, r.metrics) for r in reports] == [(3, {"loss": 0.5}), (4, {"loss": 0.25})]
    assert exited.returned == {"loss": 0.25}
    _, exited = run(tmp_path, "true", metrics=metrics)
    assert exited.reason is not None
    assert "is older than the trial" in exited.reason.message
    own: Any = {"loss": {"json": "{trial_dir}/m.json"}}
    script = """echo '{"loss": 0.5}' > "$TUNESMITH_DIR/m.json" """
    assert run(tmp_path, script, metrics=own, parallel=2)[1].returned == {"loss": 0.5}
    with pytest.raises(JobError, match=r"trials at the same time would all write log.csv"):
        executor(tmp_path, "true", metrics=metrics, parallel=2)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("loss,acc\n1,234,0.5\n", "line 2 of PATH has 3 cells, and the header 2 (a comma in a number, or "),
        ("loss,loss\n1,2\n", "PATH has 2 columns 'loss'; it has loss, loss"),
        ("", "PATH is empty"),
        (f'loss\n"{"1" * 200_000}', "field larger than field limit"),
    ],
)  # fmt: skip
def test_csv_of_which_no_value_is_certain(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "m.csv"
    reports, said = read(path, {"csv": "m.csv"}, content, before="old")
    assert reports == []
    assert said.startswith(problem.replace("PATH", str(path)))


def test_a_row_without_its_end_waits_while_the_program_runs(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    reader = MetricFileReader(source({"csv": "m.csv"}), path)
    path.write_text("loss\n0.5\n0.2")
    assert [r.metrics["loss"] for r in reader.read(time.monotonic() + 60, last=False)] == [0.5]
    path.write_text("loss\n0.5\n0.25")
    assert [r.metrics["loss"] for r in reader.read(time.monotonic() + 60, last=True)] == [0.25]


@pytest.mark.parametrize(
    ("content", "values", "problem"),
    [
        ('{"loss": 1}\n{"loss": 0.5}\n{"lo', [1.0, 0.5], ""),
        ('{"loss": 1}\n\0\n', [1.0], ""),
        ('{"eval": {"loss": 1}}', [], "PATH has no 'loss'; write key: eval.loss"),
        ('{"loss": []}', [], "PATH has no 'loss' with a value in it"),
        ("[" * 5000, [], "PATH has too many lists and objects inside one another"),
    ],
)
def test_json_of_all_kinds(tmp_path: Path, content: str, values: list[float], problem: str) -> None:
    path = tmp_path / "m.json"
    reports, said = read(path, {"json": "m.json"}, content)
    assert [report.metrics["loss"] for report in reports] == values
    assert said == problem.replace("PATH", str(path))


def test_a_text_in_the_place_of_an_earlier_number(tmp_path: Path) -> None:
    """However often the file was looked at before, 0.5 does not stand."""
    path = tmp_path / "m.json"
    reader = MetricFileReader(source({"json": "m.json"}), path)
    path.write_text('{"loss": 0.5}')
    assert [r.metrics["loss"] for r in reader.read(time.monotonic() + 60, last=False)] == [0.5]
    path.write_text('{"loss": "diverged"}')
    assert [r.metrics["loss"] for r in reader.read(time.monotonic() + 60, last=True)] == [None]
    assert reader.problem.endswith('is "diverged", which is no number')


def test_a_file_that_is_gone_is_not_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    reader = MetricFileReader(source({"json": "m.json"}), path)
    path.write_text('{"loss": 0.5}')
    assert [r.metrics["loss"] for r in reader.read(time.monotonic() + 60, last=False)] == [0.5]
    path.unlink()
    assert not list(reader.read(time.monotonic() + 60, last=True))
    assert reader.problem == f"there is no file {path}"


def test_what_is_not_finite_is_not_reported_again(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    reader = MetricFileReader(source({"json": "m.json"}), path)
    path.write_text('{"loss": [1, NaN]}')
    assert len([*reader.read(time.monotonic() + 60, last=False)]) == 2
    path.write_text('{"loss": [1, NaN, 0.5]}')
    assert [r.step for r in reader.read(time.monotonic() + 60, last=True)] == [3]


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"epoch;loss\n1;1,5\n2;0,25\n", [1.5, 0.25]),
        (b"epoch;loss\n1;1,5\n2;1.234,5\n", [1.5, 1234.5]),
        ("epoch,loss\n1,0.5\n".encode("utf-16"), [0.5]),
    ],
)
def test_csv_as_spreadsheets_and_powershell_write_it(
    tmp_path: Path, content: bytes, values: list[float]
) -> None:
    path = tmp_path / "log.csv"
    reader = MetricFileReader(MetricFile.of("loss", {"csv": "log.csv"}), path)
    path.write_bytes(content)
    assert [r.metrics["loss"] for r in reader.read(math.inf, last=True)] == values


def test_a_comma_that_may_be_either_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    reader = MetricFileReader(MetricFile.of("loss", {"csv": "log.csv"}), path)
    path.write_bytes(b"epoch;loss\n1;1,234\n")
    assert not list(reader.read(math.inf, last=True))
    assert "with a point" in reader.problem
