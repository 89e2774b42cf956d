"""From a folder to a model, with real worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.recipes.images.pictures import SHAPES, bright_and_dark, draw, shapes

from tunesmith import Study
from tunesmith.core.errors import JobError, NothingCompleted, StrategyError, StudyError
from tunesmith.core.trial import State
from tunesmith.recipes import images, load_model
from tunesmith.recipes.images import fitting
from tunesmith.recipes.images.fitting import ImagePlan, scheduler_for
from tunesmith.recipes.images.model import save
from tunesmith.recipes.images.reading import read

#: Fits one trial, and takes the time that an import takes.
QUICK: dict[str, Any] = {"trials": 1, "parallel": 1, "scheduler": "none", "progress": False}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few epochs; and one thread, as several cost tiny networks more than they bring."""
    monkeypatch.setattr(fitting, "EPOCHS", (4, 4))
    monkeypatch.setattr(fitting, "cores", lambda: 1)


def bright_file(folder: Path, n: int = 40) -> Path:
    pixels, labels = bright_and_dark(n)
    np.savez(folder / "set.npz", images=pixels[:, 0], labels=labels)
    return folder / "set.npz"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[images.Fitted, list[str]]:
    """A model of three shapes, and what was said."""
    said: list[str] = []
    root = shapes(tmp_path_factory.mktemp("fitted") / "shapes", each=20, side=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "EPOCHS", (6, 6))
        patch.setattr(fitting, "cores", lambda: 1)
        model = images.fit(root, trials=3, parallel=1, seed=3, progress=False, say=said.append)
    return model, said


def test_what_is_said(fitted: tuple[images.Fitted, list[str]]) -> None:
    model, said = fitted
    root = model.path.with_name("shapes")
    assert said[:3] == [
        f"{root}: 60 images of 3 classes, 16x16 pixels, in colour",
        "39 to train with, 12 to choose by accuracy, 9 held out",
        "a whole training has 6 epochs",
    ]
    assert said[3].startswith("training the best network (trial ")
    assert said[4].startswith("trained it in ")
    low, high = model.accuracy_interval
    assert 0 <= low < model.scores["accuracy"] <= high <= 1
    first, second = model.summary().splitlines()
    assert first.startswith(f"{model.path}: accuracy {model.scores['accuracy']:.1%} on 9 held-out")
    assert "loss" in second


def test_what_is_written(fitted: tuple[images.Fitted, list[str]]) -> None:
    model, _ = fitted
    names = {path.name for path in model.path.iterdir()}
    weights = model.about["file"]
    assert names == {"fit.json", "model.json", "report.html", "study.db", "study.trials", weights}
    about = json.loads((model.path / "model.json").read_text())
    assert about["classes"] == list(SHAPES)
    assert about["recipe"] == "images"
    assert about["best"]["config"] == model.best_config
    assert "accuracy" in (model.path / "report.html").read_text()
    assert torch.load(model.path / weights, weights_only=True).keys()


def test_another_process_predicts_the_same(
    fitted: tuple[images.Fitted, list[str]], tmp_path: Path
) -> None:
    model, _ = fitted
    new = shapes(tmp_path / "new", each=3, side=16, seed=9)
    code = (
        "import json, sys; from tunesmith.recipes import images; "
        "print(json.dumps(images.load(sys.argv[1]).rows(sys.argv[2], proba=True)))"
    )
    call = [sys.executable, "-c", code, str(model.path), str(new)]
    there = json.loads(subprocess.run(call, capture_output=True, check=True).stdout)
    assert there == model.rows(new, proba=True)
    assert [row["file"] for row in there][:2] == ["circle/000.png", "circle/001.png"]
    assert images.predict(model.path, new) == [row["label"] for row in there]


def test_a_model_keeps_the_scale_and_the_ground_of_its_images(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for k in range(40):
        level, name = ((50, "dim"), (200, "bright"))[k % 2]
        place = tmp_path / "set" / name
        place.mkdir(parents=True, exist_ok=True)
        pixels = (rng.uniform(0.8, 1.0, (8, 8)) * level).astype(np.float32)
        Image.fromarray(pixels).save(place / f"{k:02}.tif")
    lines: list[str] = []
    model = images.fit(tmp_path / "set", **QUICK, say=lines.append)
    assert lines[1].startswith("note: 40 of 40 images have floating-point pixels")
    tones = model.about["shape"]["tones"]
    assert tones["floating"] == pytest.approx([40, 200], abs=1)
    loaded = images.load(model.path)
    together = loaded.rows(tmp_path / "set", proba=True)
    alone = loaded.rows(tmp_path / "set" / together[5]["file"], proba=True)[0]
    assert alone["probability of dim"] == pytest.approx(together[5]["probability of dim"], abs=1e-4)
    right = [row["file"].startswith(str(row["label"])) for row in together]
    assert sum(right) > 30


def test_the_same_call_goes_on(tmp_path: Path) -> None:
    path = bright_file(tmp_path)
    said: list[str] = []
    first = images.fit(path, **QUICK, metric="balanced_accuracy")
    again = images.fit(path, **QUICK, say=said.append)
    assert again.metric == "balanced_accuracy"
    assert said[0] == f"going on with the search in {tmp_path / 'set-model'}"
    assert again.about == first.about
    more = images.fit(path, **{**QUICK, "trials": 2})
    assert more.about["trials"] == 2
    for changed in ({"seed": 5}, {"metric": "loss"}):
        with pytest.raises(JobError, match=rf"another {next(iter(changed))} \("):
            images.fit(path, **QUICK, **changed)
    bright_file(tmp_path, 42)
    with pytest.raises(JobError, match="another set of images"):
        images.fit(path, **QUICK)
    assert images.load(tmp_path / "set-model").about == more.about


def test_a_killed_fit_goes_on_from_its_checkpoints(tmp_path: Path) -> None:
    path = bright_file(tmp_path, 60)
    code = (
        "import sys; from tunesmith.recipes.images import fitting; fitting.EPOCHS = (40, 40); "
        "fitting.cores = lambda: 1; "
        "fitting.fit(sys.argv[1], trials=1, parallel=1, scheduler='none', progress=False)"
    )
    call = [sys.executable, "-c", code, str(path)]
    storage = tmp_path / "set-model" / "study.db"
    process = subprocess.Popen(call)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("set-model/study.trials/fit/000000/checkpoint/step-[3-9]*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "set-model" / "model.json").exists()
    with pytest.raises(JobError, match=r"no model in .* \(a search that did not end"):
        load_model(tmp_path / "set-model")
    subprocess.run(call, check=True, timeout=120)
    with Study.open("fit", storage=storage) as study:
        (trial,) = study.trials
        assert trial.state is State.COMPLETED
        assert trial.attempt == 1
        assert [report.step for report in trial.reports] == list(range(1, 41))
    assert images.load(tmp_path / "set-model").about["trials"] == 1


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"target": "label"}, JobError, "no column 'label'"),
        ({"metric": "acuracy"}, JobError, "no metric 'acuracy' .* did you mean 'accuracy'"),
        ({"seed": -1}, JobError, "seed is a whole number"),
        ({"time": "soon"}, StudyError, "'soon' is no duration"),
        ({"trials": -2}, StudyError, "trials"),
        ({"parallel": -1}, JobError, "parallel is"),
        ({"scheduler": "ahsa"}, StrategyError, "asha"),
        ({"scheduler": {"asha": {"mx": 3}}}, StrategyError, "mx"),
    ],
)
def test_a_call_that_makes_no_sense_leaves_nothing(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    path = bright_file(tmp_path)
    with pytest.raises(error, match=says):
        images.fit(path, **{**QUICK, **options})
    assert list(tmp_path.iterdir()) == [path]


def test_images_that_cannot_be_learnt_from_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    with pytest.raises(JobError, match="has no images"):
        images.fit(tmp_path / "photos", **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_an_output_folder_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    root = shapes(tmp_path / "shapes", each=4, side=8)
    with pytest.raises(JobError, match="is inside the images"):
        images.fit(root, **QUICK, output=root / "model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(JobError, match="with other things in it"):
        images.fit(root, **QUICK, output=tmp_path / "mine")
    with pytest.raises(JobError, match=r"thesis.txt is a file"):
        images.fit(root, **QUICK, output=tmp_path / "mine" / "thesis.txt")
    (tmp_path / "mine" / "fit.json").write_text('{"recipe": "tabular"}')
    with pytest.raises(JobError, match=r"another recipe \(tabular\)"):
        images.fit(root, **QUICK, output=tmp_path / "mine")


def test_a_search_without_a_result_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bright_file(tmp_path)
    monkeypatch.setattr(fitting, "search_s", lambda *_: 0.01)
    with pytest.raises(NothingCompleted, match="run it again to go on"):
        images.fit(path, parallel=1, time="10s", progress=False)


def test_time_decides_on_epochs_and_on_how_many_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = read(bright_file(tmp_path, 2000))
    monkeypatch.setattr(fitting, "EPOCHS", (10, 40))

    def plan(seen: int | None) -> tuple[int, int]:
        made: ImagePlan = fitting._plan(few, None, 0, seen)
        return made.images, made.epochs

    assert plan(None) == (2000, 40_000 // 1300)
    assert plan(20 * 1300) == (2000, 20)
    assert plan(10 * 1300) == (2000, 10)
    assert plan(10 * 650) == (1000, 10)
    assert plan(1) == (fitting.FEWEST, 10)


def test_schedulers_know_how_long_a_training_is() -> None:
    assert scheduler_for(None, 36) == {"hyperband": {"max": 36, "min": 4}}
    assert scheduler_for({"asha": {"min": 2}}, 36) == {"asha": {"max": 36, "min": 2}}
    assert scheduler_for("none", 36) is None


def test_gpus_are_shared_so_that_all_trials_find_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fitting._gpus_per_trial(4) == 0.0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(fitting, "visible_gpus", lambda: ["0", "1"])
    monkeypatch.setattr(fitting, "cores", lambda: 6)
    assert fitting._parallel() == 6
    assert [fitting._gpus_per_trial(n) for n in (1, 2, 3, 6, 9)] == [1, 1, 1 / 2, 1 / 3, 1 / 5]


def test_an_image_in_another_size_and_a_broken_one_are_predicted(
    fitted: tuple[images.Fitted, list[str]], tmp_path: Path
) -> None:
    from PIL import Image

    model, _ = fitted
    Image.fromarray(draw("circle", np.random.default_rng(0), 50)).save(tmp_path / "large.png")
    (tmp_path / "torn.png").write_text("no image")
    said: list[str] = []
    large, torn = model.rows(tmp_path, proba=True, say=said.append)
    assert said == ["note: 1 of 2 images cannot be read: torn.png (it is no image)"]
    assert large["label"] in SHAPES
    assert sum(large[f"probability of {name}"] for name in SHAPES) == pytest.approx(1, abs=1e-5)
    assert torn["file"] == "torn.png"
    assert {value for key, value in torn.items() if key != "file"} == {None}
    assert list(torn) == list(large)


def test_a_full_disk_leaves_the_model_that_was_there(
    fitted: tuple[images.Fitted, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = fitted
    before = {path.name for path in model.path.iterdir()}

    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(JobError, match=rf"{model.path}: No space left on device"):
        save(model.path, model.about, model.network)
    assert {path.name for path in model.path.iterdir()} == before
    assert images.load(model.path).about == model.about


def test_a_model_that_was_damaged_is_refused(
    fitted: tuple[images.Fitted, list[str]], tmp_path: Path
) -> None:
    import shutil

    model, _ = fitted
    copy = Path(shutil.copytree(model.path, tmp_path / "copy"))
    weights = copy / model.about["file"]

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path}/ran",)

    torch.save(Evil(), tmp_path / "evil.pt")
    for content in ((tmp_path / "evil.pt").read_bytes(), b"torn"):
        weights.write_bytes(content)
        with pytest.raises(JobError, match=r"the weights .* cannot be read"):
            images.predict(copy, model.path.with_name("shapes"))
    assert not (tmp_path / "ran").exists()
    weights.unlink()
    with pytest.raises(JobError, match="is gone; fit the model again"):
        images.predict(copy, model.path.with_name("shapes"))
    about = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps(about | {"version": 99}))
    with pytest.raises(JobError, match="newer tunesmith"):
        load_model(copy)
    (copy / "model.json").write_text("{")
    with pytest.raises(JobError, match=r"model.json is broken"):
        load_model(copy)
