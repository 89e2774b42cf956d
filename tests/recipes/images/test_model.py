"""A model's folder is data from elsewhere: what it names is not opened or run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.core.errors import JobError
from tunesmith.recipes import load_model

ABOUT: dict[str, Any] = {
    "recipe": "images", "version": 1, "file": "weights.pt", "classes": ["a", "b"],
    "shape": {"channels": 1, "height": 8, "width": 8, "white": 255.0}, "best": {"config": {"resize": 8}},
}  # fmt: skip


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def described(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text(json.dumps(ABOUT | changes))
    return folder


@pytest.mark.parametrize("file", ["weights.pt", "../weights.pt", "link.pt"])
@pytest.mark.parametrize("allow_pickle", [False, True])
def test_weights_are_never_a_pickle(tmp_path: Path, file: str, allow_pickle: bool) -> None:
    folder = described(tmp_path / "model", file=file)
    for place in (folder, tmp_path):
        torch.save({"weight": Touch(tmp_path / "TOUCHED")}, place / "weights.pt")
    (folder / "link.pt").symlink_to(tmp_path / "weights.pt")
    model: Any = load_model(folder, allow_pickle=allow_pickle)
    with pytest.raises(JobError, match=r"cannot be read|names the file|is a link"):
        _ = model.network
    assert not (tmp_path / "TOUCHED").exists()


def tones(**changes: Any) -> dict[str, Any]:
    whole = {"ground": 255, "byte": True, "integer": None, "floating": [0.0, 1.0]} | changes
    return {"shape": ABOUT["shape"] | {"tones": whole}}


def test_a_description_with_tones(tmp_path: Path) -> None:
    load_model(described(tmp_path / "model", **tones()))


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": ABOUT["shape"] | {"tones": 3}},
        tones(ground=7),
        tones(ground=None),
        tones(integer=[1.0]),
        tones(integer=[1.0, 1.0]),
        tones(floating=[0.0, 1e999]),
        tones(floating="ab"),
        tones(wide=3),
    ],
)
def test_broken_tones(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=r"model\.json is broken"):
        load_model(described(tmp_path / "model", **changes))


@pytest.mark.parametrize(
    "changes", [{"shape": None}, {"shape": {"wide": 1}}, {"best": {}}, {"best": 3}, {"classes": 3}]
)
def test_a_broken_description(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=r"model\.json is broken"):
        load_model(described(tmp_path / "model", **changes))
