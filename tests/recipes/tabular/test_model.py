from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from tunesmith.core.errors import JobError
from tunesmith.recipes import load_model, output
from tunesmith.recipes.tabular import model
from tunesmith.recipes.tabular.data import Data, load
from tunesmith.recipes.tabular.model import Fitted
from tunesmith.recipes.tabular.train import Pipe, fit, quiet

LINEAR = {"algorithm": "linear", "linear.C": 1.0, "linear.l1_ratio": 0.0, "scale": "standard"}
FOREST = {
    "algorithm": "random_forest", "random_forest.n_estimators": 10, "random_forest.max_features": 0.5,
    "random_forest.min_samples_leaf": 1, "random_forest.max_samples": 1.0,
}  # fmt: skip


def frame(task: str = "binary") -> Any:
    rng = np.random.default_rng(0)
    found: Any = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    found["kind"] = rng.choice(["x", "y"], 60)
    y = found["a"] + rng.normal(size=60) / 3
    found["y"] = y if task == "regression" else np.where(y > 0, "yes", "no")
    return found


def written(
    folder: Path, task: str = "binary", configs: Any = (LINEAR, FOREST), said: Any = None
) -> Fitted:
    """A model of two pipelines in a folder."""
    data = load(frame(task), "y")
    with quiet():
        pipes = [fit(config, data, seed=0) for config in configs]
    about = described(data, pipes)
    return Fitted(
        folder, model.write(folder, about, pipes, data.x, (said if said is not None else []).append)
    )


def described(data: Data, pipes: list[Pipe]) -> dict[str, Any]:
    weight = 1 / len(pipes)
    return {
        "task": data.task, "target": data.target, "classes": list(data.classes), "left_out": list(data.left_out),
        "columns": [c.to_dict() for c in data.columns], "sparse": data.sparse, "base": data.base,
        "versions": {"numpy": "2"},
        "members": [{"weight": weight, **model.member_about(pipe)} for pipe in pipes],
    }  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- written and read ---------------------------------------------------------------------------


def test_another_process_predicts_the_same(tmp_path: Path) -> None:
    fitted = written(tmp_path)
    here = fitted.predict_proba(frame().head(7)).to_numpy()
    frame().head(7).drop(columns="y").to_csv(tmp_path / "new.csv", index=False)
    program = (
        "from tunesmith.recipes import tabular; import sys\n"
        "fitted = tabular.load(sys.argv[1])\n"
        "print(fitted.predict_proba(sys.argv[1] + '/new.csv').to_numpy().tolist())\n"
        "print(fitted.predict(sys.argv[1] + '/new.csv').tolist())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    there, classes = map(json.loads, run.stdout.replace("'", '"').splitlines())
    np.testing.assert_allclose(there, here, rtol=1e-12)
    assert classes == fitted.predict(frame().head(7)).tolist()
    assert run.stderr == ""


def test_probabilities_sum_to_one_and_classes_are_theirs(tmp_path: Path) -> None:
    fitted = written(tmp_path)
    found = fitted.predict_proba(frame())
    assert list(found.columns) == ["no", "yes"]
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    said = fitted.predict(frame())
    assert (said == found.columns.to_numpy()[found.to_numpy().argmax(axis=1)]).all()
    assert (said == frame()["y"]).mean() > 0.8
    rows = fitted.rows(frame().head(2), proba=True)
    assert rows[0] == {
        "y": said[0],
        "probability of no": pytest.approx(found["no"][0]),
        "probability of yes": pytest.approx(found["yes"][0]),
    }


def test_numbers_have_no_probabilities(tmp_path: Path) -> None:
    fitted = written(tmp_path, "regression")
    assert fitted.predict(frame("regression")).shape == (60,)
    assert isinstance(fitted.rows(frame().head(1))[0]["y"], float)
    with pytest.raises(JobError, match="no probabilities"):
        fitted.predict_proba(frame())
    with pytest.raises(JobError, match="no probabilities"):
        fitted.rows(frame(), proba=True)


def test_other_columns_categories_and_gaps(tmp_path: Path) -> None:
    fitted = written(tmp_path)
    new = frame().drop(columns="y").assign(more=1)
    assert fitted.unknown_columns(new) == ["more"]
    new["kind"] = "never seen"
    new.loc[0, ["a", "b", "c"]] = np.nan
    new.loc[1, "a"] = np.inf
    with pytest.warns(UserWarning, match="count") as caught:
        assert np.isfinite(fitted.predict_proba(new).to_numpy()).all()
    assert [str(warning.message) for warning in caught] == [
        "1 value of 'a' is infinite, and counts as missing",
        "60 values of 'kind' were not there in training, and count as unknown, such as 'never seen' in row 1",
    ]
    assert caught[0].filename == __file__
    with pytest.raises(JobError, match="has no column 'a', which the model was trained with"):
        fitted.predict(new.drop(columns="a"))
    with pytest.raises(JobError, match="60 values of 'a' cannot be read as numbers such as"):
        fitted.predict(new.assign(a="much"))


@pytest.mark.parametrize("kind", ["skops", "joblib"])
def test_gaps_are_filled_in_by_a_model_that_was_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "joblib":
        monkeypatch.setattr(model, "TRUSTED", frozenset())
    fitted = written(tmp_path, configs=({**FOREST, "encode_trees": "ordinal"},))
    monkeypatch.undo()
    assert str(fitted.about["file"]).endswith(kind)
    commonest = frame()["kind"].mode()[0]
    again = model.load(tmp_path, allow_pickle=kind == "joblib")
    with pytest.warns(UserWarning, match="'kind' were not there in training"):
        unknown = again.predict_proba(frame().assign(kind="never seen"))
    np.testing.assert_array_equal(unknown, again.predict_proba(frame().assign(kind=commonest)))


def test_what_has_to_be_said_of_a_file_to_predict_is_said(tmp_path: Path) -> None:
    fitted = written(tmp_path)
    new = tmp_path / "new.csv"
    new.write_bytes("a,b,c,kind\n1,2,3,x\n1,2,3,ö\n".encode("latin-1"))
    said: list[str] = []
    assert len(fitted.rows(new, say=said.append)) == 2
    note, unknown = said
    assert "1 value of 'kind' was not there in training" in unknown
    assert note.startswith("note: this is not UTF-8 (byte 0xf6 in line 3)")


def test_what_cannot_be_read_is_an_error_or_is_missing(tmp_path: Path) -> None:
    fitted = written(tmp_path)
    fitted.about["notices"] = []
    new = tmp_path / "new.csv"
    new.write_text('a,b,c,kind\n1,2,3,x\n"1,500",$2,3,x\n')
    said: list[str] = []
    with pytest.raises(JobError) as caught:
        fitted.rows(new, say=said.append)
    for part in ("new.csv: 1 value of 'a' cannot be read as a number such as 1234.5: '1,500' in row 2; 1 value of 'b'",
                 "'$2' in row 2", "--unreadable missing"):  # fmt: skip
        assert part in str(caught.value)
    rows = fitted.rows(new, unreadable="missing", say=said.append)
    assert len(rows) == 2
    assert "'1,500' in row 2; it counts as missing" in said[0]
    with pytest.warns(UserWarning, match="in row 2; it counts as missing"):
        fitted.predict(new, unreadable="missing")
    with pytest.raises(JobError, match="unreadable is error or missing, not 'ignore'"):
        fitted.predict(new, unreadable="ignore")


def test_what_training_noted_is_repeated(tmp_path: Path) -> None:
    fitted = written(tmp_path)
    fitted.about["notices"] = [f"column {k} is odd" for k in range(22)]
    said: list[str] = []
    fitted.rows(frame().head(1), say=said.append)
    assert said[0] == "note from training: column 0 is odd"
    assert len(said) == 21
    assert said[20].startswith("note from training: 2 more in")


def test_a_model_of_an_earlier_version_reads_decimal_commas(tmp_path: Path) -> None:
    fitted = written(tmp_path)
    (tmp_path / "new.csv").write_text("a;b;c;kind\n0,5;1,5;-2;x\n")
    (tmp_path / "same.csv").write_text("a,b,c,kind\n0.5,1.5,-2,x\n")
    assert "notices" not in fitted.about
    with pytest.warns(UserWarning, match="is read as numbers that are written as 1234,5"):
        again = fitted.predict_proba(tmp_path / "new.csv")
    np.testing.assert_allclose(again, fitted.predict_proba(tmp_path / "same.csv"))


def test_numbered_features_are_not_named_columns(tmp_path: Path) -> None:
    fitted = written(tmp_path)
    (tmp_path / "t.svm").write_text("1 1:0.5 2:1\n0 2:2\n")
    with pytest.raises(JobError, match="trained with named columns such as 'a'"):
        fitted.predict(tmp_path / "t.svm")


def test_categories_are_known_again_whatever_rows_share_their_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    new = frame("regression").assign(
        code=rng.choice(["01", "02", "A1"], 60), flag=rng.choice(["TRUE", "FALSE", "maybe"], 60)
    )
    new["y"] = 10.0 * (new["code"] == "01") + 5.0 * (new["flag"] == "TRUE") + new["a"]
    new.to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv", "y")
    pipes = [fit(LINEAR, data, seed=0)]
    (tmp_path / "m").mkdir()
    fitted = Fitted(
        tmp_path / "m", model.write(tmp_path / "m", described(data, pipes), pipes, data.x, print)
    )
    plain = (new["code"] != "A1") & (new["flag"] != "maybe")
    new[plain].to_csv(tmp_path / "few.csv", index=False)
    wanted = fitted.predict(tmp_path / "t.csv")[plain]
    np.testing.assert_allclose(fitted.predict(tmp_path / "few.csv"), wanted)
    said = [row["y"] for row in fitted.rows(tmp_path / "few.csv")]
    np.testing.assert_allclose(said, wanted)


def test_sparse_features_are_counted_as_in_training(tmp_path: Path) -> None:
    lines = [f"{k % 2} 0:{k % 2} 1:0.5 2:1\n" for k in range(40)]
    (tmp_path / "t.svm").write_text("".join(lines))
    data = load(tmp_path / "t.svm", None)
    pipes = [fit({**LINEAR, "scale": "none"}, data, seed=0)]
    (tmp_path / "m").mkdir()
    about = model.write(tmp_path / "m", described(data, pipes), pipes, data.x[:50], print)
    (tmp_path / "new.svm").write_text("0 1:1 2:1\n")  # no row has the first feature
    assert Fitted(tmp_path / "m", about).predict(tmp_path / "new.svm").tolist() == [0]
    before = {**about, "base": None}  # a model of earlier days
    assert Fitted(tmp_path / "m", before).predict(tmp_path / "new.svm").tolist() == [1]


@pytest.mark.parametrize("sparse", [False, True])
def test_sparse_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sparse: bool) -> None:
    from tunesmith.recipes.tabular import data as tables

    monkeypatch.setattr(tables, "DENSE", 1 if sparse else 1_000)
    rows = [f"{k % 2} {1 + k % 2}:1 {3 + k % 3}:0.5\n" for k in range(40)]
    (tmp_path / "t.svm").write_text("".join(rows))
    data = load(tmp_path / "t.svm", None)
    pipes = [fit({**LINEAR, "scale": "none"}, data, seed=0)]
    (tmp_path / "m").mkdir()
    about = model.write(tmp_path / "m", described(data, pipes), pipes, data.x[:50], print)
    fitted = Fitted(tmp_path / "m", about)
    (tmp_path / "new.svm").write_text("0 1:1\n0 2:1\n")  # of fewer features
    assert fitted.predict(tmp_path / "new.svm").tolist() == [0, 1]
    (tmp_path / "new.svm").write_text("0 9:1\n")
    with pytest.raises(JobError, match="has 9 features, and the model was trained with 5"):
        fitted.predict(tmp_path / "new.svm")


def test_what_skops_cannot_hold_is_kept_with_joblib_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "TRUSTED", frozenset())
    said: list[str] = []
    about = written(tmp_path, said=said).about
    assert str(about["file"]).endswith(".joblib")
    assert "saved with joblib, not skops (it does not trust" in said[0]
    assert "open it only where you trust" in said[0]
    with pytest.raises(JobError, match=r"is a pickle, which can run any code.*--allow-pickle"):
        model.load(tmp_path).predict(frame())
    allowed = load_model(tmp_path, allow_pickle=True)
    monkeypatch.undo()
    (tmp_path / "again").mkdir()
    again = written(tmp_path / "again")
    np.testing.assert_array_equal(allowed.predict(frame()), again.predict(frame()))


def test_a_pipeline_that_skops_changes_is_kept_with_joblib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import skops.io

    read = skops.io.load

    def spoiled(*args: Any, **options: Any) -> Any:
        content = read(*args, **options)
        content[0]["pipeline"][-1].coef_ += 1.0
        return content

    monkeypatch.setattr(skops.io, "load", spoiled)
    said: list[str] = []
    written(tmp_path, said=said)
    assert "did not give the same predictions back" in said[0]


# -- broken -------------------------------------------------------------------------------------


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "houses-model").mkdir()
    written(tmp_path / "houses-model")
    with pytest.raises(JobError, match=r"no model in .*house-model; did you mean 'houses-model'"):
        model.load(tmp_path / "house-model")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "fit.json").write_text("{}")
    with pytest.raises(JobError, match="a search that did not end: run the same fit again"):
        model.load(tmp_path / "begun")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 99}, "was written by a newer tunesmith"),
        ({"recipe": "images"}, "holds a model of recipe 'images', not 'tabular'"),
        ({"version": "x"}, "is broken"),
        ({"members": None}, "is broken"),
        ({"columns": [{"kind": "number"}]}, "is broken"),
    ],
)
def test_a_description_that_makes_no_sense(tmp_path: Path, change: Any, said: str) -> None:
    about = written(tmp_path).about
    (tmp_path / "model.json").write_text(json.dumps({**about, **change}))
    with pytest.raises(JobError, match=said):
        model.load(tmp_path)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe\x00", b"{}"])
def test_a_broken_description(tmp_path: Path, raw: bytes) -> None:
    written(tmp_path)
    (tmp_path / "model.json").write_bytes(raw)
    with pytest.raises(JobError, match=r"model\.json is broken"):
        model.load(tmp_path)


@pytest.mark.parametrize("kind", ["skops", "joblib"])
@pytest.mark.parametrize(
    "damage", [lambda raw: b"", lambda raw: raw[: len(raw) // 2], lambda raw: b"junk" * 50]
)
def test_broken_pipelines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Any, kind: str
) -> None:
    if kind == "joblib":
        monkeypatch.setattr(model, "TRUSTED", frozenset())
    file = tmp_path / written(tmp_path).about["file"]
    monkeypatch.undo()
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(JobError, match=r"cannot be read .*it was written with numpy 2"):
        model.load(tmp_path, allow_pickle=True).predict(frame())


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("allow_pickle", [False, True])
@pytest.mark.parametrize(
    "name", ["../elsewhere.joblib", "{}/elsewhere.joblib", "sub/../../elsewhere.joblib", "..", "", 3, None,
             "link.joblib", "..\\elsewhere.joblib", "sub", "a\0b", "\ud800"],
)  # fmt: skip
def test_no_file_outside_the_folder_is_opened(
    tmp_path: Path, name: Any, allow_pickle: bool
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    written(folder)
    joblib.dump(Touch(tmp_path / "TOUCHED"), tmp_path / "elsewhere.joblib")
    (folder / "link.joblib").symlink_to(tmp_path / "elsewhere.joblib")
    (folder / "sub").mkdir()
    about = json.loads((folder / "model.json").read_text())
    about["file"] = name.format(tmp_path) if isinstance(name, str) else name
    (folder / "model.json").write_text(json.dumps(about))
    with pytest.raises(JobError, match=r"names the file|is a link|is gone|is no file|is a pickle"):
        load_model(folder, allow_pickle=allow_pickle).predict(frame())
    assert not (tmp_path / "TOUCHED").exists()


def test_a_pickle_called_skops_is_not_unpickled(tmp_path: Path) -> None:
    file = tmp_path / written(tmp_path).about["file"]
    joblib.dump(Touch(tmp_path / "TOUCHED"), file)
    with pytest.raises(JobError, match="cannot be read"):
        model.load(tmp_path).predict(frame())
    assert not (tmp_path / "TOUCHED").exists()


@pytest.mark.parametrize("function", [os.system, Path.touch, eval, "method"])
def test_no_function_of_a_skops_file_is_taken(tmp_path: Path, function: Any) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    file = tmp_path / written(tmp_path).about["file"]
    target = (tmp_path / "TOUCHED").touch if function == "method" else function
    skops.io.dump([{"pipeline": FunctionTransformer(target), "transformer": None}], file)
    with pytest.raises(JobError, match=r"cannot be read .*Untrusted"):
        model.load(tmp_path).predict(frame())


def test_content_of_another_shape(tmp_path: Path) -> None:
    import skops.io

    file = tmp_path / written(tmp_path).about["file"]
    contents: list[Any] = [[], {}, [1, 2], [{}, {}], "text", None]
    for content in contents:
        skops.io.dump(content, file)
        with pytest.raises(JobError, match="cannot be read"):
            model.load(tmp_path).predict(frame())


def test_pipelines_that_are_gone(tmp_path: Path) -> None:
    (tmp_path / written(tmp_path).about["file"]).unlink()
    with pytest.raises(JobError, match="is gone; fit the model again, or put it back"):
        model.load(tmp_path).predict(frame())


def test_a_foreign_type_in_a_skops_file_is_not_loaded(tmp_path: Path) -> None:
    import skops.io

    file = tmp_path / written(tmp_path).about["file"]
    skops.io.dump([{"pipeline": subprocess.Popen, "transformer": None}], file)
    with pytest.raises(JobError, match="cannot be read"):
        model.load(tmp_path).predict(frame())


# -- nothing half-written -----------------------------------------------------------------------


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may be larger than `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("trusted", [True, False])
def test_a_full_disk_leaves_the_model_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    before = written(tmp_path, configs=(LINEAR,)).predict(frame())
    held = names(tmp_path)
    if not trusted:
        monkeypatch.setattr(model, "TRUSTED", frozenset())
    with full_disk(2_000), pytest.raises(JobError, match="the model cannot be written to"):
        written(tmp_path, configs=(FOREST,))
    assert names(tmp_path) == held
    monkeypatch.undo()
    np.testing.assert_array_equal(model.load(tmp_path).predict(frame()), before)


@pytest.mark.parametrize("at", ["pipelines", "description"])
def test_a_kill_leaves_the_model_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Killed after half of the pipelines were written, or just before the description is."""
    before = written(tmp_path, configs=(LINEAR,)).predict(frame())

    def killed(*args: Any, **options: Any) -> None:
        if at == "pipelines":
            Path(args[1]).write_bytes(b"half")
        raise SystemExit

    import skops.io

    if at == "pipelines":
        monkeypatch.setattr(skops.io, "dump", killed)
    else:
        monkeypatch.setattr(output, "write_json", killed)
    with pytest.raises(SystemExit):
        written(tmp_path, configs=(FOREST,))
    monkeypatch.undo()
    np.testing.assert_array_equal(model.load(tmp_path).predict(frame()), before)
    written(tmp_path, configs=(FOREST,))
    assert len(names(tmp_path)) == 2  # the new one; what was left has gone
