"""A program is the same if it does the same: comments, layout, line numbers and state do not change it."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.tuning.fingerprint import of_function

PROGRAM = """
import math
import helpers
from settings import Options

RATE = 0.1
LAYERS = [64, 32]
NAMES = {"b", "a", "c"}
seen = []
calls = 0


def scaled(x):
    return x * RATE


class Model:
    depth = 3

    def __init__(self, width):
        self.width = width
        self.fitted = 0

    def fit(self, data):
        self.fitted += 1
        return math.sqrt(self.width) + helpers.twice(data)


def train(config, options=Options()):
    global calls
    calls += 1
    seen.append(config)
    total = 0.0
    for layer in LAYERS:
        if layer > 3 and "a" in NAMES:
            total += layer
    return scaled(total) + Model(4).fit(config["x"]) + options.extra
"""
HELPERS = "FACTOR = 2\n\n\ndef twice(x):\n    return FACTOR * x\n\n\ndef unused(x):\n    return 0\n"
SETTINGS = (
    "from dataclasses import dataclass\n\n\n@dataclass\nclass Options:\n    extra: float = 1.0\n"
)
SHOW = "import json, train; from tunesmith.tuning.fingerprint import of_function as f; print(json.dumps(dict(f(train.train).parts)))"


def parts(folder: Path, **files: str) -> dict[str, str]:
    """The fingerprint of `train.train` in another process."""
    folder.mkdir(exist_ok=True)
    for name, text in {"train": PROGRAM, "helpers": HELPERS, "settings": SETTINGS, **files}.items():
        (folder / f"{name}.py").write_text(text)
    run = subprocess.run(
        [sys.executable, "-B", "-c", SHOW], cwd=folder, capture_output=True, text=True, check=True
    )
    read: dict[str, str] = json.loads(run.stdout)
    return read


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in {**one, **other} if one.get(name) != other.get(name)}


def test_what_does_not_change_a_program(tmp_path: Path) -> None:
    first = parts(tmp_path / "a")
    assert {"function train", "function scaled", "function helpers.twice", "value RATE"} <= set(
        first
    )
    moved = "# a comment\n\n\n" + PROGRAM.replace(
        "    global calls", '    """Words."""\n    global calls'
    )
    moved = moved.replace("total += layer", "total += layer  # so").replace('"x"', "'x'")
    assert parts(tmp_path / "b", train=moved) == first
    state = PROGRAM.replace("seen = []", "seen = [1, 2]").replace("calls = 0", "calls = 7")
    assert differing(parts(tmp_path / "c", train=state), first) == set()
    unused = HELPERS.replace("return 0", "return 1")
    assert parts(tmp_path / "d", helpers=unused) == first


@pytest.mark.parametrize(
    ("file", "old", "new", "part"),
    [
        ("train", "return scaled(total)", "return 100 * scaled(total)", "function train"),
        ("train", "layer > 3", "layer > 4", "function train"),
        ("train", "return x * RATE", "return x / RATE", "function scaled"),
        ("train", "RATE = 0.1", "RATE = 0.2", "value RATE"),
        ("train", "[64, 32]", "[64, 33]", "value LAYERS"),
        ("train", '{"b", "a", "c"}', '{"b", "a", "d"}', "value NAMES"),
        ("train", "depth = 3", "depth = 4", "value Model.depth"),
        ("train", "math.sqrt(self.width)", "self.width", "function Model.fit"),
        ("helpers", "FACTOR * x", "FACTOR + x", "function helpers.twice"),
        ("helpers", "FACTOR = 2", "FACTOR = 3", "value helpers.FACTOR"),
        ("settings", "extra: float = 1.0", "extra: float = 2.0", "value train(options).extra"),
    ],
)
def test_what_changes_it(tmp_path: Path, file: str, old: str, new: str, part: str) -> None:
    text = {"train": PROGRAM, "helpers": HELPERS, "settings": SETTINGS}[file]
    assert old in text
    changed = differing(
        parts(tmp_path / "a"), parts(tmp_path / "b", **{file: text.replace(old, new)})
    )
    assert part in changed


def made(scale: float, data: Any = None) -> Callable[[dict[str, Any]], float]:
    def inner(config: dict[str, Any]) -> float:
        return float(config["x"]) * scale + (0.0 if data is None else float(np.sum(data)))

    return inner


class Trainer:
    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.runs = 0

    def train(self, config: dict[str, Any]) -> float:
        self.runs += 1
        return self.depth * float(config["x"])

    def __call__(self, config: dict[str, Any]) -> float:
        return self.train(config)


def test_what_a_function_is_bound_to_is_a_part() -> None:
    assert of_function(made(1.0)).parts == of_function(made(1.0)).parts
    assert differing(dict(of_function(made(1.0)).parts), dict(of_function(made(2.0)).parts)) == {
        "value scale"
    }
    zeros, ones = np.zeros(9), np.ones(9)
    assert of_function(made(1.0, zeros)).parts != of_function(made(1.0, ones)).parts
    three, four = (functools.partial(lambda c, by: c["x"] * by, by=by) for by in (3, 4))
    assert of_function(three).parts != of_function(four).parts
    bindings: list[Callable[[Trainer], Any]] = [lambda t: t.train, lambda t: t]
    for bound in bindings:
        first = Trainer(3)
        before = of_function(bound(first)).parts
        first.train({"x": 1.0})  # it counts, and that is no other program
        assert of_function(bound(first)).parts == before != of_function(bound(Trainer(4))).parts


def test_code_without_source_is_known_by_its_bytecode() -> None:
    def compiled(text: str) -> Any:
        names: dict[str, Any] = {"CHOICES": frozenset(["a", "b"])}
        exec(compile(textwrap.dedent(text), "<string>", "exec"), names)
        return of_function(names["f"]).parts

    one = compiled("def f(c):\n    return c['x'] + 1")
    assert one["function f"].startswith("bytecode ")
    assert one == compiled("\n\n\n# moved\ndef f(c):\n\n    return c['x'] + 1")
    assert one != compiled("def f(c):\n    return c['x'] + 2")


def test_a_file_that_was_edited_after_its_import_is_not_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "edited_later.py"
    file.write_text("def f(c):\n    return c['x']\n")
    import edited_later  # type: ignore[import-not-found]

    before = of_function(edited_later.f).parts
    file.write_text("# words\n\ndef f(c):\n    return c['x']\n")
    assert of_function(edited_later.f).parts == before
    file.write_text("def f(c):\n    return 100 * c['x']\n")
    assert of_function(edited_later.f).parts["function f"].startswith("bytecode ")


def test_strange_objects_are_no_fault_of_the_study() -> None:
    class Strange:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __call__(self, config: Any) -> float:
            return 0.0

    of_function(Strange())
    of_function(max)
    of_function(functools.partial(max, 3))
    of_function(np.mean)


def test_a_recipe_has_that_of_its_data() -> None:
    from tunesmith.recipes.tabular.train import Training

    recipe = Training(
        "rows.npz", "rmse", 5, 1, 0, 60.0, {"rows": "9", "column a": "digest 1 number"}
    )
    assert of_function(recipe).parts == {"rows": "9", "column a": "digest 1 number"}
