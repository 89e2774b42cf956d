"""tunesmith fit, tunesmith predict"""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cli.program import tunesmith

from tunesmith.cli.fit import fate

FIT = ("fit", "plants.csv", "--target", "height", "--algorithms", "linear,knn", "--parallel", "1")


def write_plants(folder: Path, rows: int = 120) -> None:
    rng = np.random.default_rng(0)
    light, soil = rng.random(rows), rng.choice(["clay", "sand"], rows)
    height = 10 + 30 * light + 5 * (soil == "clay") + rng.normal(0, 1, rows)
    with (folder / "plants.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["light", "soil", "height"])
        writer.writerows(zip(light.round(4), soil, height.round(2), strict=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plants")
    write_plants(folder)
    said = tunesmith(folder, *FIT, "--trials", "3", "--plain")
    assert said.code == 0, said.err
    assert said.out.startswith("plants-model: rmse ")
    assert "report:  plants-model/report.html" in said.out
    assert "120 rows, 2 columns to learn from (1 number, 1 category)" in said.err
    assert "trial    2" in said.err
    return folder


def test_what_fit_writes(made: Path) -> None:
    names = {path.name for path in (made / "plants-model").iterdir() if path.suffix != ".skops"}
    assert names == {"fit.json", "model.json", "report.html", "study.db", "study.trials"}
    about = json.loads((made / "plants-model" / "model.json").read_text())
    assert about["trials"] == 3
    assert about["value"] < 2.0  # of a target with a standard deviation of 9


def test_the_same_call_goes_on(made: Path) -> None:
    said = tunesmith(made, *FIT, "--trials", "4", "--json")
    assert said.code == 0, said.err
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [event["event"] for event in events] == ["trial", "model"]
    assert events[-1]["trials"] == 4
    assert {row["algorithm"] for row in events[-1]["leaderboard"]} == {"linear", "knn"}


def test_what_became_of_an_algorithm() -> None:
    told = [fate({"failed": failed, "trials": 3}) for failed in (0, 1, 3)]
    assert told == ["stopped early", "stopped or failed", "failed"]


def test_predict(made: Path, tmp_path: Path) -> None:
    (made / "new.csv").write_text("soil,light\nclay,0.5\nsand,\nloam,0.5\n")
    said = tunesmith(made, "predict", "plants-model", "new.csv")
    unknown = "note: 1 value of 'soil' was not there in training, and counts as unknown, such as 'loam' in row 3\n"
    assert (said.code, said.err) == (0, unknown)
    name, *values = said.out.split()
    assert name == "height"
    assert abs(float(values[0]) - 30.0) < 3.0
    assert len(values) == 3  # what is missing, or unknown, is no reason to fail
    file = tmp_path / "out.csv"
    assert tunesmith(made, "predict", "plants-model", "new.csv", "-o", file).code == 0
    assert file.read_text() == said.out
    assert len(tunesmith(made, "predict", "plants-model", "new.csv", "--json").json) == 3
    (made / "old.csv").write_bytes("soil,light\nrötlich,0.5\n".encode("latin-1"))
    noted = tunesmith(made, "predict", "plants-model", "old.csv")
    assert len(noted.out.split()) == 2
    assert noted.err.startswith("note: this is not UTF-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "plant.csv", "-t", "height"], "did you mean 'plants.csv'"),
        (["fit", "plants.csv", "-t", "hight"], "did you mean 'height'"),
        (["fit", "plants.csv"], "with --target"),
        (["fit", "plants.csv", "-t", "height", "--recipe", "tables"], "no recipe 'tables'"),
        (["fit", "plants.csv", "-t", "height", "--algorithms", "linaer"], "did you mean 'linear'"),
        (["fit", "plants.csv", "-t", "height", "--metric", "accuracy"], "rmse, mae, r2"),
        (["fit", "plants.csv", "-t", "height", "--time", "soon"], "soon"),
        (
            ["fit", "plants.csv", "-t", "height", "--column", "soil=categry"],
            "did you mean 'category'",
        ),
        (["fit", "plants.csv", "-t", "height", "--column", "soils=text"], "did you mean 'soil'"),
        (["fit", "plants.csv", "-t", "height", "--dates", "dayfirst"], "day-first or month-first"),
        (["predict", "{made}", "plants.csv", "--unreadable", "ignore"], "error or missing"),
        (["fit", "plants.csv", "-t", "height", "--ensemble", "0"], "1 or more"),
        (["fit", "plants.csv", "-t", "height", "--trials", "0"], "trials"),
        (["fit", "plants.csv", "-t", "height", "--scheduler", "ahsa"], "asha"),
        (["fit", ".", "--ensemble", "3"], "no option 'ensemble'"),
        (["predict", "plants", "plants.csv"], "there is no model in plants"),
        (["predict", "{made}", "plants.csv", "--proba"], "leave --proba out"),
        (["predict", "{made}", "none.csv"], "there is no file none.csv"),
        (["predict", "{made}", "plants.csv", "-o", "none/out.csv"], "cannot be written to none"),
    ],
)
def test_wrong_calls(made: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    write_plants(tmp_path, 40)
    model = str(made / "plants-model")
    said = tunesmith(tmp_path, *(model if a == "{made}" else a for a in arguments))
    assert said.code == 2, said
    assert words in said.err
    assert said.err.splitlines()[-1].startswith("error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["plants.csv"]  # nothing is left


def test_ctrl_c_makes_a_model_of_what_there_is(tmp_path: Path) -> None:
    write_plants(tmp_path)
    command = [sys.executable, "-m", "tunesmith", *FIT, "--time", "10m", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as program:
        assert program.stdout is not None
        ended = 0
        for line in program.stdout:
            ended += json.loads(line).get("state") == "completed"
            if ended == 2:
                program.send_signal(signal.SIGINT)
                break
        last = json.loads(program.stdout.read().splitlines()[-1])
    assert program.returncode == 130
    assert last["event"] == "model"
    assert (tmp_path / "plants-model" / "model.json").exists()
